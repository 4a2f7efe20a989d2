"""Which reference files calibrate an exposure: the rules of CRDS in one literal context.

The crds package loads and evaluates the rules; nothing here needs a server unless a
mapping or reference is not in the cache. A context given as ``latest`` or
``operational`` is made literal first, so that a record of it stays true.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Header

SERVERLESS = "https://crds-serverless-mode.stsci.edu"
ALIASES = {
    "latest": "latest_context",
    "jwst-latest": "latest_context",
    "operational": "operational_context",
    "jwst-operational": "operational_context",
    "edit": "edit_context",
    "jwst-edit": "edit_context",
    "build": "build_context",
    "jwst-build": "build_context",
}
#: Matching parameter of CRDS -> FITS keyword; the union of what the JWST rmaps select by.
PARAMETERS = {
    "META.INSTRUMENT.NAME": "INSTRUME",
    "META.INSTRUMENT.DETECTOR": "DETECTOR",
    "META.INSTRUMENT.CHANNEL": "CHANNEL",
    "META.INSTRUMENT.MODULE": "MODULE",
    "META.INSTRUMENT.BAND": "BAND",
    "META.INSTRUMENT.FILTER": "FILTER",
    "META.INSTRUMENT.PUPIL": "PUPIL",
    "META.INSTRUMENT.GRATING": "GRATING",
    "META.INSTRUMENT.CORONAGRAPH": "CORONMSK",
    "META.INSTRUMENT.LAMP_STATE": "LAMP",
    "META.INSTRUMENT.LAMP_MODE": "LAMPMODE",
    "META.EXPOSURE.TYPE": "EXP_TYPE",
    "META.EXPOSURE.READPATT": "READPATT",
    "META.EXPOSURE.NOUTPUTS": "NOUTPUTS",
    "META.EXPOSURE.NGROUPS": "NGROUPS",
    "META.SUBARRAY.NAME": "SUBARRAY",
    "META.SUBARRAY.XSTART": "SUBSTRT1",
    "META.SUBARRAY.YSTART": "SUBSTRT2",
    "META.SUBARRAY.XSIZE": "SUBSIZE1",
    "META.SUBARRAY.YSIZE": "SUBSIZE2",
    "META.VISIT.TSOVISIT": "TSOVISIT",
    "META.VISIT.TYPE": "VISITYPE",
    "META.OBSERVATION.DATE": "DATE-OBS",
    "META.OBSERVATION.TIME": "TIME-OBS",
}


def cache_path() -> Path:
    """The CRDS cache: CRDS_PATH. Raises ReferenceMissing if that is not set."""
    path = os.environ.get("CRDS_PATH")
    if not path:
        raise ReferenceMissing("CRDS_PATH is not set, so there is no cache of reference files")
    return Path(path)


def server_info() -> dict[str, Any]:
    """What the server said last, as the cache remembers it. Read as data, never run.

    Raises ReferenceMissing if the cache has no such record.
    """
    path = cache_path() / "config" / "jwst" / "server_config"
    try:
        return dict(ast.literal_eval(path.read_text()))
    except OSError as error:
        raise ReferenceMissing(f"the CRDS cache has no {path} ({error.strerror})") from error
    except (ValueError, SyntaxError) as error:
        raise ReferenceMissing(f"{path} is not a CRDS server record ({error})") from error


def literal_context(name: str | None = None) -> str:
    """The context meant by `name`, else by CRDS_CONTEXT, else the latest, as ``jwst_NNNN.pmap``."""
    wanted = name or os.environ.get("CRDS_CONTEXT") or "latest"
    if wanted.endswith(".pmap"):
        return wanted
    key = ALIASES.get(wanted.lower())
    if key is None:
        known = ", ".join(ALIASES)
        raise ReferenceMissing(f"{wanted!r} is neither a context (jwst_NNNN.pmap) nor one of {known}")
    info = server_info()
    context = info.get(key) or info.get("operational_context")
    if not context:
        raise ReferenceMissing(f"the CRDS cache does not know its {key.replace('_', ' ')}")
    return str(context)


def contexts() -> list[str]:
    """Contexts whose top mapping is in the cache, oldest first."""
    return sorted(p.name for p in (cache_path() / "mappings" / "jwst").glob("jwst_*.pmap"))


def mappings(context: str) -> dict[str, dict[str, str]]:
    """The rules of a context: instrument -> reference type -> rmap; types that are N/A are left out."""
    rules: dict[str, dict[str, str]] = {}
    for instrument in _mapping(context).selections:
        imap = _mapping(context).get_imap(instrument)
        names = {kind: getattr(rmap, "filename", str(rmap)) for kind, rmap in imap.selections.items()}
        rules[instrument] = {kind: name for kind, name in sorted(names.items()) if "N/A" not in name.upper()}
    return rules


def parameters(header: Header) -> dict[str, str]:
    """The header in the words of CRDS, whose rules have 1 as ``1.0`` and true as ``T``."""
    from crds.core.utils import condition_value

    values = {ours: str(header.get(keyword, "UNDEFINED")) for ours, keyword in PARAMETERS.items()}
    return {ours: condition_value(value) for ours, value in values.items()}


def best_references(
    header: Header, types: Iterable[str], context: str, optional: Collection[str] = ()
) -> dict[str, str | None]:
    """Reference file name by type; None where the rules say N/A.

    A type that the context does not know at all, or whose rules have no entry for
    this header, raises ReferenceMissing, except that of an optional or a ``pars-`` type, which is N/A.
    """
    mapping = _mapping(context)
    found: dict[str, str | None] = {}
    for kind in types:
        answer = _answer(mapping, header, kind)
        if "N/A" in answer.upper():
            found[kind] = None
        elif not answer.startswith("NOT FOUND"):
            found[kind] = answer
        elif kind.startswith("pars-") or kind in optional:
            found[kind] = None
        else:
            reason = answer.removeprefix("NOT FOUND").strip()
            raise ReferenceMissing(f"{context} has no {kind} for this exposure ({reason})")
    return found


def locate(name: str, context: str) -> Path:
    """Path of a reference file in the cache, fetched first if there is a server.

    Raises ReferenceMissing if it is neither here nor to be had.
    """
    from crds.core import config

    path = Path(config.locate_file(name, "jwst"))
    if not path.exists():
        _fetch(context, name)
    if not path.exists():
        raise ReferenceMissing(f"{name} is chosen by {context} but is not in the CRDS cache")
    return path


def _mapping(context: str) -> Any:
    """The loaded rules of a context; crds keeps them, so that this is quick the second time."""
    cache_path()
    os.environ.setdefault("CRDS_SERVER_URL", SERVERLESS)
    from crds.core import exceptions, rmap

    try:
        return rmap.get_cached_mapping(context)
    except (OSError, exceptions.CrdsError) as error:
        _fetch(context)
        try:
            return rmap.get_cached_mapping(context)
        except (OSError, exceptions.CrdsError):
            raise ReferenceMissing(f"context {context} cannot be loaded ({_one_line(error)})") from error


def _answer(mapping: Any, header: Header, kind: str) -> str:
    from crds.core import exceptions, utils

    try:
        # rules have numbers as 1.0 and logicals as T
        answers = mapping.get_best_references(utils.condition_header(parameters(header)), [kind])
    except exceptions.CrdsUnknownInstrumentError as error:
        raise InputError(f"{mapping.name} has no instrument {header.get('INSTRUME')!r}") from error
    except exceptions.CrdsError as error:
        return f"NOT FOUND {_one_line(error)}"
    return str(answers.get(kind.lower(), "N/A"))


def _fetch(context: str, *references: str) -> None:
    """Bring a context's mappings, or references, into the cache, unless there is no server."""
    url = os.environ.get("CRDS_SERVER_URL", SERVERLESS)
    if "serverless" in url or "server-less" in url:
        return
    from crds.client import api
    from crds.core import exceptions

    try:
        if references:
            api.dump_references(context, list(references), raise_exceptions=True)
        else:
            api.dump_mappings(context)
    except (OSError, exceptions.CrdsError) as error:
        raise ReferenceMissing(f"{url} did not give {references or context} ({_one_line(error)})") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
