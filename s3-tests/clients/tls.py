"""A TLS endpoint in front of the server. Clients choose other forms of an upload over TLS than in plain
text: botocore, for one, sends its checksums in trailers of an unsigned body."""

import asyncio
import ssl
import subprocess
import threading

PIECE_BYTES = 1 << 16


def make_certificate(folder):
    """A self-signed certificate of 127.0.0.1; its path and that of its key."""
    certificate, key = folder / "tls.pem", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-out", str(certificate), "-keyout", str(key)],
        check=True,
        capture_output=True,
    )
    return certificate, key


class TlsFront:
    """Passes bytes between TLS connections and plain ones to `address`, in a thread of its own."""

    def __init__(self, address, certificate, key):
        self.host, self.port = address.split(":")
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate, key)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True, name="tls-front").start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(30)
        self.endpoint = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"

    async def _listen(self):
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)

    async def _serve(self, reader, writer):
        try:
            back_reader, back_writer = await asyncio.open_connection(self.host, self.port)
            await asyncio.gather(pass_on(reader, back_writer), pass_on(back_reader, writer))
        except OSError:
            writer.close()


async def pass_on(reader, writer):
    try:
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass  # either side may hang up at any time
    writer.close()
