"""Which reference files calibrate an exposure: the rules of CRDS in one literal context.

The rules are those of the cache, read as data and never run; a server is asked only for
what the cache lacks. A context given as ``latest`` or ``operational`` is made literal
first, so that a record of it stays true.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from calwebbd.stages.crds import cache
from calwebbd.stages.crds.cache import SERVERLESS, cache_path, contexts, server_info, server_url
from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.header import Header

__all__ = [
    "PARAMETERS",
    "SERVERLESS",
    "best_references",
    "cache_path",
    "contexts",
    "literal_context",
    "locate",
    "mappings",
    "parameters",
    "refuse_bad",
    "server_info",
]

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
#: files that must not be used, by name, beside those of the server; a service sets it for its workers
BAD_FILES = "CALWEBBD_BAD_FILES"


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
    """Path of a reference file in the cache: fetched first if there is a server, and verified.

    It is hashed when it is first used in a week, or has changed. One that is corrupt is set aside
    and fetched again. Raises ReferenceMissing if it is neither here nor to be had, or not to be used.
    """
    from calwebbd.stages.crds.keep import keep

    refuse_bad(name)
    path = cache.place(name)
    if not path.exists() and server_url() is None:
        raise ReferenceMissing(f"{name} is chosen by {context} but is not in the CRDS cache")
    keep(name)
    return path


def refuse_bad(name: str) -> None:
    """Raise ReferenceMissing for a file that the server or the site says must not be used."""
    if os.environ.get("CRDS_ALLOW_BAD_REFERENCES", "0").lower() not in {"", "0", "false"}:
        return
    if name in os.environ.get(BAD_FILES, "").split():
        raise ReferenceMissing(f"{name} is on the site's list of bad files")
    if name in cache.bad_files():
        raise ReferenceMissing(f"{name} is on the list of bad files of CRDS")


def _mapping(context: str) -> Any:
    """The loaded rules of a context; they are kept, so that this is quick the second time."""
    cache_path()
    if not os.environ.get("CRDS_SERVER_URL"):
        os.environ["CRDS_SERVER_URL"] = SERVERLESS
    from calwebbd.stages.crds import keep, rules

    try:
        return rules.load(context)
    except (OSError, ReferenceMissing) as error:
        if server_url() is None:
            raise ReferenceMissing(f"context {context} cannot be loaded ({_one_line(error)})") from error
    keep.keep_context(context)
    return rules.load(context)


def _answer(mapping: Any, header: Header, kind: str) -> str:
    from crds.core import exceptions, utils

    try:
        # rules have numbers as 1.0 and logicals as T
        answers = mapping.get_best_references(utils.condition_header(parameters(header)), [kind])
    except exceptions.CrdsUnknownInstrumentError as error:
        raise InputError(f"{mapping.name} has no instrument {header.get('INSTRUME')!r}") from error
    except exceptions.CrdsError as error:
        return f"NOT FOUND {_one_line(error)}"
    answer = answers.get(kind.lower(), "N/A")
    return answer if isinstance(answer, str) else f"NOT FOUND the rules choose {len(answer)} at once"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
