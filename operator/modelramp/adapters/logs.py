"""
Log lines: one JSON object each, on standard error.
"""

import json
import logging
import sys
import time
from typing import Final

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """
    The record's message with the fields given as `extra`.
    """

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """
        One line.
        """
        extra = {key: value for key, value in vars(record).items() if key not in _OWN}
        line = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        added = {key: value for key, value in extra.items() if key not in line}
        return json.dumps(line | added, default=str, skipkeys=True)


def set_up_logs(level: str) -> None:
    """
    Our own lines from `level` up, everybody else's from warnings up.
    """
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[output], force=True)
    logging.getLogger("modelramp").setLevel(level.upper())
