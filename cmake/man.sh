#!/usr/bin/env bash
# The manual page of drl, from what the program says of itself: man.sh PROGRAM VERSION OUT
set -euo pipefail
program=$1 version=$2 out=$3

# Text as it is, line by line.
verbatim() {
    printf '.nf\n'
    sed -e 's/\\/\\e/g' -e "s/^\\([.']\\)/\\\\\\&\\1/" -e 's/-/\\-/g'
    printf '.fi\n'
}

commands() { "$program" --help | sed -n 's/^\(usage:\| *\) *drl \([a-z]*\) .*/\2/p' | sort -u; }

{
    printf '.TH DRL 1 "" "drl %s" "User Commands"\n' "$version"
    printf '.SH NAME\ndrl \\- datasets and trained models of the suite for Diffusion Based Representation Learning\n'
    printf '.SH SYNOPSIS\n'
    "$program" --help | verbatim
    printf '.SH DESCRIPTION\nThe experiments are programs of their own, drl\\-downstream, drl\\-semi_supervised and so on;\n'
    printf 'each explains itself by \\-\\-help. What they write, drl looks at and uses.\n.SH COMMANDS\n'
    for command in $(commands); do
        printf '.SS drl %s\n' "$command"
        "$program" "$command" --help | verbatim
    done
    printf '.SH "EXIT STATUS"\n0 done, 1 failed, 2 a wrong command line.\n'
    printf '.SH ENVIRONMENT\nDRL_DATA_DIR: where datasets are looked for. DRL_SHARE_DIR: scales and plot scripts, instead of\n'
    printf 'the installed ones. DRL_CONV: the convolution kernels, gemm, direct, winograd2 or winograd4.\n'
} >"$out.new"
mv "$out.new" "$out"
