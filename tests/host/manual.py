# SPDX-License-Identifier: MIT
"""The manual: every page becomes a man page, every key of definitions and every member of their JSON is described."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pages():
    with tempfile.TemporaryDirectory() as folder:
        p = subprocess.run(['sh', ROOT / 'scripts/man.sh', folder], capture_output=True, text=True, check=False)
        if p.returncode or p.stderr:
            yield f'scripts/man.sh: status {p.returncode}: {p.stderr}'
        made = {path.name.rpartition('.')[0]: path.read_text() for path in Path(folder).glob('man*/*')}
    for source in sorted((ROOT / 'docs/man').glob('*.md')):
        text = made.get(source.stem)
        if not text:
            yield f'{source}: there is no page of it'
            continue
        for wanted in rf'^\.TH "{source.stem}" "\d"', r'^\.SH\nNAME$', rf'^{source.stem} — \S':
            if not re.search(wanted, text, re.M):
                yield f'{source}: its page has no line {wanted}'
        for left in re.findall(r'.*(?:\.md\b|\]\().*', text):
            if 'json.md' not in left and 'api.md' not in left:
                yield f'{source}: its page has a link: {left}'


def definition():
    """Keys and members stand in tables of the sources, a row each."""
    manual = (ROOT / 'docs/man/lodge-definition.md').read_text()
    json = (ROOT / 'docs/json.md').read_text()
    tables = {'definition_parse.c': r'^\t\{ "(\w+)", set_', 'definition_disk.c': r'^\t\{ "(\w+)", set_', 'definition_nic.c': r'^\t\{ "(\w+)", set_'}
    for file, row in tables.items():
        keys = re.findall(row, (ROOT / 'tools/lib' / file).read_text(), re.M)
        if len(keys) < 7:
            yield f'{file}: found only {keys}'
        for key in keys:
            if not re.search(rf'`{key}[ =`]', manual):
                yield f'docs/man/lodge-definition.md: {key} of {file} is missing'
    members = re.findall(r'\b(?:DEFINITION|DISK|NIC)\((\w+), [A-Z]', (ROOT / 'tools/lib/definition_json.c').read_text())
    if len(members) < 30:
        yield f'definition_json.c: found only {members}'
    for member in members:
        if f'`{member}`' not in json and f'"{member}"' not in json:
            yield f'docs/json.md: {member} is missing'


problems = [*pages(), *definition()]
print('\n'.join(problems), end='\n' if problems else '')
sys.exit(bool(problems))
