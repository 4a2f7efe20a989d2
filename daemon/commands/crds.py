"""``crds``: what the reference-file rules say, and the contexts of a service."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from calwebbd.daemon.commands import Common, Verbs, asking
from calwebbd.daemon.commands import contexts as of_service


def add(verbs: Verbs, common: Common) -> None:
    crds = verbs.add_parser("crds", help="ask the reference-file rules of CRDS")
    topics = crds.add_subparsers(metavar="TOPIC", required=True)

    show = topics.add_parser("show", parents=[common], help="the cache, the context and its mappings")
    show.set_defaults(run=run_show)
    references = topics.add_parser("references", parents=[common], help="the references of an exposure")
    references.add_argument("file", type=Path, metavar="FILE")
    references.set_defaults(run=run_references)
    contexts = topics.add_parser("contexts", parents=[common], help="the contexts in the cache")
    contexts.set_defaults(run=run_contexts)
    for topic in (show, references):
        topic.add_argument("--context", metavar="PMAP", help="default: CRDS_CONTEXT, else the latest")
    for topic in (show, references, contexts):
        asking.options(topic)
    of_service.add(topics, common)


def run_show(args: argparse.Namespace) -> int:
    """The cache, the literal context, and the rules it has for each instrument."""
    from calwebbd.stages import crds

    asking.use_cache(args)
    context = crds.literal_context(args.context)
    facts = {"cache": str(crds.cache_path()), "context": context, "mappings": crds.mappings(context)}
    if args.json:
        print(json.dumps(facts, indent=2))
        return 0
    print(f"cache    {facts['cache']}\ncontext  {context}")
    for instrument, rules in crds.mappings(context).items():
        print(f"\n{instrument}")
        for kind, rmap in rules.items():
            print(f"  {kind:24s}{rmap}")
    return 0


def run_references(args: argparse.Namespace) -> int:
    """The references of every step that would calibrate this file, by pipeline."""
    from calwebbd.stages import crds, pipelines
    from calwebbd.stages.errors import InputError
    from calwebbd.stages.exptypes import path_of, pipeline_for
    from calwebbd.stages.fits import read_header
    from calwebbd.stages.names import split_suffix

    header = read_header(args.file)
    route = pipeline_for(header, split_suffix(args.file.name)[2])
    if route.pipeline is None:
        raise InputError(route.reason, file=str(args.file))
    asking.use_cache(args)
    context = crds.literal_context(args.context)
    found: dict[str, dict[str, str | None]] = {}
    path = path_of(header)
    for name in path[path.index(route.pipeline) :]:
        pipeline = pipelines.load(name)
        steps = pipeline.steps_for(header)
        kinds = [kind for step in steps for kind in (*step.references, *step.optional, step.pars)]
        found[name] = crds.best_references(header, dict.fromkeys([*kinds, pipeline.pars]), context)
    if args.json:
        print(json.dumps({"file": str(args.file), "context": context, "references": found}, indent=2))
        return 0
    print(f"{context}")
    for name, files in found.items():
        print(f"\n{name}")
        for kind, file in files.items():
            if file or not kind.startswith("pars-"):
                print(f"  {kind:34s}{file or 'N/A'}")
    return 0


def run_contexts(args: argparse.Namespace) -> int:
    """Contexts in the cache; the one that is used by default is marked."""
    from calwebbd.stages import crds

    asking.use_cache(args)
    default, known = crds.literal_context(), crds.contexts()
    if args.json:
        print(json.dumps({"contexts": known, "default": default}, indent=2))
        return 0
    for context in known:
        print(f"{'*' if context == default else ' '} {context}")
    return 0
