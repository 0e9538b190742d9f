#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/man.sh DIR        make man pages of docs/man/*.md, as DIR/manN/NAME.N
#
# The Markdown is the only source. Needs lowdown (Debian's package of that name).
set -eu

out=${1:?usage: scripts/man.sh DIR}
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
command -v lowdown >/dev/null || { echo "lowdown is not installed: apt-get install lowdown" >&2; exit 1; }

section() {
	case $1 in
	lodge) echo 1 ;;
	lodge-definition) echo 5 ;;
	lodge-command-line) echo 7 ;;
	*) echo 8 ;;
	esac
}

# As manuals are laid out: the title is NAME, headings are a level higher, a reference to another page is name(N). A table without a head is a list.
convert() {
	set -- -e '1{/^<!--/d}' -e "s/^# \(.*\)/# NAME\n\n\1/;t" -e 's/^##\(#*\) /#\1 /' \
		-e '/^| | |$/d' -e '/^|---|---|$/d' -e 's/^| \([^|]*\) | \(.*\) |$/- \1: \2/'
	for page in "$root"/docs/man/*.md; do
		name=$(basename "$page" .md)
		set -- "$@" -e "s/\[$name\](\(man\/\)\{0,1\}$name\.md)/**$name**($(section "$name"))/g"
	done
	sed "$@" -e 's/\[\([^]]*\)\]([^)]*\.md)/\1/g'
}

for page in "$root"/docs/man/*.md; do
	name=$(basename "$page" .md)
	number=$(section "$name")
	mkdir -p "$out/man$number"
	convert <"$page" | lowdown -s -Tman --out-no-smarty -m "title:$name" -m "section:$number" -m "source:Lodge" >"$out/man$number/$name.$number"
done
