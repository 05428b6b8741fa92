"""One module for each tool that asks a model about photos. Each has

    def answer(task: Task) -> list[Answer]

which asks the model about every row of a file, ``task.at_once`` requests at a time, and returns an answer for each row
that has one or an error. It uses the tool as its documentation says, with its own retries, and keeps in ``task.work``
what the tool can use after it was killed.
"""
