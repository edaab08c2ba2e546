from saccade.cli import program

raise SystemExit(program())
