"""Stands for Kubernetes in test.sh: takes merge patches of one Secret, and shows its entries as files, as a mounted Secret does.

secret.py PORT FOLDER TOKEN
"""

import base64
import http.server
import json
import os
import sys

PORT, FOLDER, TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Secret(http.server.BaseHTTPRequestHandler):
    def do_PATCH(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        good = (
            self.path == "/api/v1/namespaces/storage/secrets/cairn-join"
            and self.headers["Authorization"] == f"Bearer {TOKEN}"
            and self.headers["Content-Type"] == "application/merge-patch+json"
        )
        if good:
            for name, value in json.loads(body)["data"].items():
                self.keep(os.path.join(FOLDER, name), value)
        self.send_response(200 if good else 403)
        self.end_headers()

    def keep(self, path, value):
        if value is not None:
            with open(path + ".new", "wb") as file:
                file.write(base64.b64decode(value, validate=True))
            os.rename(path + ".new", path)
        elif os.path.exists(path):
            os.remove(path)


http.server.HTTPServer(("127.0.0.1", PORT), Secret).serve_forever()
