"""Signalpost: customer events in, accepted conversions out.

The rooms, in the order an event travels; `docs/explain/flow.md` tells the same with a picture.

    events         the records: Event, Person, Item, Order, Signal
    errors         the error tree
    iso            codes of countries and currencies
    vocabulary     one name for what happened: the canonical events
    options        the workspace file's options, each with its sentence
    marked         a YAML file read with its lines, so that a mistake has a place
    conditions     one language for rules: checked, printed as a sentence, compiled
    facts          what is computed of a person's orders
    segments       one rule over a person's history: sentence, live membership, SQL
    presets        gates that an operator switches on by name
    config         the workspace file, read and checked
    neighbours     the workspace files beside this one, and what test and production must not share
    normalize      one normaliser for every match key, and hashing
    accounts       who may do what in the console
    amend          changes of a workspace file's text
    tokens         what a platform gave when an account was connected, in a file of its own
    masking        how people's data is shown
    sources        wire bytes -> events, one file per wire
    identity       who an event belongs to; what is remembered of a person
    orders         items, order value, order ids
    purchases      a person's orders, and what is computed of them
    gates          why a signal is withheld
    mapping        executes a platform's field table
    destinations   one file per platform
    delivery       batches, back-off, breaker: decisions only
    rollout        in which stage a destination is, and when the next begins
    audiences      whom an audience wants, and what to add and remove where
    coverage       which match keys signals carry, and an alarm when they drop
    clocks         how long things take
    doubles        pixel beside server: what a platform makes of an order told twice
    state          what a batch is decided on, and what was decided
    findings       everything wrong or doubtful, decided from figures
    usecases       what Signalpost can do for a brand, what that needs, and the change that begins it
    store          journal, people, orders, ledger, outbox on SQLite or PostgreSQL
    transport      one request -> one answer over HTTP
    plan           the workspace compiled for deciding
    deciding       a batch half decided, and the rows written of it
    people         whose an event is, within a batch
    orderbook      which order an event is about, within a batch
    memberships    which segments people are in, within a batch
    pipeline       gather, decide, commit: the whole way of an event
    backfill       new rules brought up to date beside the flow
    processing     the pipeline's loop, in a process of its own
    views          what the platforms say they received
    valuing        bounds of value tiers, computed over everybody
    lift           what an audience brings, against people held out
    alerts         findings told to people
    doctor         both platforms' checklists as live checks
    watch          findings, alerts, rollouts and views, in a loop
    worker         what runs beside the web server: processing, senders, pruning
    syncing        keeps audiences on the platforms as they should be
    charts         charts as SVG, drawn on the server
    web            intake, console
    applying       a change of the workspace file comes into force while the server goes on
    serve          all of it with one command
    replay         sending again what was refused or never answered
    trial          a test person's cart and purchase to a platform, held against what was promised
    proposals      a proposed workspace file held against the present one
    revising       a proposed workspace file: whether it may come into force, and how it gets into the file
    previews       a rule asked of history before it is a segment
    glances        a rule asked of some people while it is written
    starter        a first workspace file
    platforms      strict emulators of the two platforms
    samples        a real shop's year, for the demo and the tests
    demo           that year through everything, with a live picture
    benchmarks     how fast it is, on this machine
    cli            the command line
    cli_workspace  its commands about the workspace file
    cli_platforms  its commands about the platforms
    cli_run        its commands that run Signalpost or ask what it did
    cli_why        its account of one event's story
    cli_quality    its commands about the quality of signals
    cli_report     its command that writes the report
    cli_rollout    its commands about staged rollouts
    cli_segments   its commands about segments
    cli_audiences  its commands about audiences
    cli_lift       its command that compares an audience with people held out
    cli_accounts   its commands about users of the console
    cli_changes    its commands that plan and apply a workspace file
    cli_alerts     its command that tries the addresses of alerts
    cli_say        how they all speak
"""

from __future__ import annotations

__version__ = "0.1.0"
