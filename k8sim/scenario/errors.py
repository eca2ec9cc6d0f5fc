class ScenarioError(Exception):
    """The user's mistake: says where it is, what is wrong, and what would be right.

    Parameters
    ----------
    file
        As the user named it.
    line
        Counted from 1; None when no line is to blame (a missing file).
    problem, hint
        One sentence each, without a final full stop. No hint when nothing useful can be said.
    """

    def __init__(self, file: str, line: int | None, problem: str, hint: str | None = None) -> None:
        super().__init__(file, line, problem, hint)
        self.file = file
        self.line = line
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{where}: {self.problem}{hint}"
