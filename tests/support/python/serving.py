"""Serves an application of Flask to one test."""

import os
import sys
import threading

from werkzeug.serving import make_server


def serve(app):
    """Takes a free port, writes it as the first line of the output, and ends the process when its standard input ends."""
    threading.Thread(target=end_with_the_input, daemon=True).start()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()


def end_with_the_input():
    sys.stdin.read()
    os._exit(0)
