# bash completion for drl and its experiments: flags are asked of the program, "--help", values of files of the system.
_drl() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} command=() words
    if [[ ${program##*/} == drl ]]; then
        if [[ $COMP_CWORD -eq 1 ]]; then
            words=$("$program" --help 2>/dev/null | sed -n 's/^\(usage:\| *\) *drl \([a-z]*\) .*/\2/p')
            mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$current")
            return
        fi
        command=("${COMP_WORDS[1]}")
        if [[ ${command[0]} == data || ${command[0]} == runs ]]; then
            if [[ $COMP_CWORD -eq 2 && $current != -* ]]; then
                words=$("$program" "${command[0]}" --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
                return
            fi
        fi
        # experiments, but behind a flag its value
        if [[ ${command[0]} == plot && $current != -* && ${COMP_WORDS[COMP_CWORD - 1]} != @(--*|=) ]]; then
            words=$("$program" plot --help 2>/dev/null | sed -n 's/^  \([a-z][a-z_]*\) .*/\1/p')
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
            return
        fi
    fi
    if [[ $current == -* ]]; then
        words=$("$program" "${command[@]}" --help 2>/dev/null | sed -n 's/^ *\(--[a-z][a-z-]*\).*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}
complete -o filenames -F _drl drl drl-compare drl-downstream drl-semi_supervised drl-detail_control drl-detail_factors \
    drl-sde_ablation
