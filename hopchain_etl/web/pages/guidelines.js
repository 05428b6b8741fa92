// Only the navigation: the guidelines themselves are plain text.

import { call, navigation, say } from "./common.js";

call("api/me").then((me) => navigation(me, "guidelines")).catch((error) => say(error.message, "bad"));
