"""Vision-language models behind an OpenAI-compatible server: the client, its images, and a server to launch."""
