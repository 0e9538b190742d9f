# SPDX-License-Identifier: MIT
# bash completion of lodge: verbs and options as lodge itself tells them, guests, definitions.

_lodge_guests()
{
	lodge list 2>/dev/null | awk 'NR > 1 && $1 != "Domain-0" { print $1 }'
}

_lodge_definitions()
{
	local dir=${LODGE_DEFINITIONS:-/etc/xen} file

	for file in "$dir"/vm/* "$dir"/*.cfg; do
		[[ -f $file ]] && file=${file##*/} && printf '%s\n' "${file%.cfg}"
	done
}

_lodge_images()
{
	lodge image list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_lodge_machines()
{
	lodge image list --json 2>/dev/null | sed -n '/"machines": \[/,/\]/s/^ *"\([^"]*\)",*$/\1/p'
}

# Some have two words.
_lodge_verbs()
{
	lodge help 2>/dev/null | sed -n 's/^  \([a-z].\{13\}\).*/\1/p' | sed 's/ *$//'
}

_lodge_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_lodge()
{
	local guest='' cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb='' i

	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -* ]] && continue
		[[ $verb == image ]] && { verb="image ${COMP_WORDS[i]}"; continue; }
		[[ -n $verb ]] && { guest=${COMP_WORDS[i]}; break; }
		verb=${COMP_WORDS[i]}
	done
	COMPREPLY=()
	if [[ -z $verb ]]; then
		_lodge_words "$(_lodge_verbs | cut -d ' ' -f 1 | sort -u)"
		return
	fi
	if [[ $verb == image ]]; then
		_lodge_words "$(_lodge_verbs | sed -n 's/^image //p')"
		return
	fi
	if [[ $cur == -* ]]; then
		_lodge_words "$(lodge help $verb 2>/dev/null | grep -oE '^  .{24}' | grep -oE -e '--[a-z-]+')"
		return
	fi
	case $verb in
	create)
		if [[ $previous == -f || $previous == --defconfig || $cur == */* ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		else
			_lodge_words "$(_lodge_definitions)"
			mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
		fi ;;
	"image build")
		[[ -n $guest ]] || _lodge_words debian ;;
	"image import")
		mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	"image export")
		if [[ -z $guest ]]; then
			_lodge_words "$(_lodge_images)"
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi ;;
	"image list" | "image remove")
		_lodge_words "$(_lodge_images)" ;;
	new)
		case $previous in
		-i | --from) _lodge_words "$(_lodge_images)" ;;
		-k | --ssh-key) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		esac ;;
	remove)
		_lodge_words "$(_lodge_machines)" ;;
	block-attach | cd-insert)
		if [[ -z $guest ]]; then
			_lodge_words "$(_lodge_guests)"
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi ;;
	block-detach | cd-eject)
		if [[ -z $guest ]]; then
			_lodge_words "$(_lodge_guests)"
		else
			_lodge_words "$(lodge block-list "$guest" 2>/dev/null | awk 'NR > 1 { print $8 }')"
		fi ;;
	network-detach|network-rate)
		if [[ -z $guest ]]; then
			_lodge_words "$(_lodge_guests)"
		else
			_lodge_words "$(lodge network-list "$guest" 2>/dev/null | awk 'NR > 1 { print $1 }')"
		fi ;;
	mem-set|vcpu-pin|vcpu-set)
		[[ -n $guest ]] || _lodge_words "Domain-0 $(_lodge_guests)" ;;
	block-list|config|mem-max|network-attach|network-list|console|destroy|domid|domname|info|list|pause|reboot|rename|shutdown|sysrq|unpause|uptime|vcpu-list)
		_lodge_words "$(_lodge_guests)" ;;
	help)
		_lodge_words "$(_lodge_verbs | cut -d ' ' -f 1 | sort -u)" ;;
	esac
}

complete -o filenames -F _lodge lodge
