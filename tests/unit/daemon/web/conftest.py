from in_memory import tmp_path
from web_nights import client, night

__all__ = ["client", "night", "tmp_path"]
