"""Serve the page until stopped."""

import uvicorn

from calwebbd.daemon.config import Config
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.web.app import application
from calwebbd.daemon.web.guard import is_loopback, read_token


def serve(config: Config, host: str | None = None, port: int | None = None) -> None:
    """Raises CommandError if an address of others has no token, or cannot be listened at."""
    host, port = host or config.web.host, port or config.web.port
    token = read_token(config.web.token_file) if config.web.token_file else None
    if token is None and not is_loopback(host):
        raise CommandError(f"{host} can be reached by others: set web.token_file in the configuration")
    settings = uvicorn.Config(
        application(config, host, token),
        host=host.strip("[]"),
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        limit_concurrency=64,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=16384,
    )
    server = uvicorn.Server(settings)
    print(f"calwebbd: http://{f'[{host}]' if ':' in host.strip('[]') else host}:{port}", flush=True)
    server.run()
    if not server.started:
        raise CommandError(f"{host}:{port} cannot be listened at: is it in use?")
