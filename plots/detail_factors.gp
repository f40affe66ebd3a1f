# Accuracy of probes for known factors: a panel of codes by time, and one of codes by what they were trained with; factors
# down, codes across, the accuracy in each cell, coloured from chance (dark) to 100 % (light).
#
# Variables (strings): plots, data, title, out as in downstream.gp
# Data file: a block for each panel (two at most), two blank lines between them, of rows
#   column  row  accuracy  chance  "column"  "factor"  "panel"
#     accuracy  in per cent, and that of guessing
load plots."/style.gp"

stats data using 2 nooutput
panels = STATS_blocks
factors = int(STATS_max)
array Wide[2]; array Head[2]; array Factor[factors]; array Column[2048]
Wide[2] = 0
do for [p = 1:panels] {
    stats data index p-1 using 1 nooutput
    Wide[p] = int(STATS_max)
    stats data index p-1 using (Column[(p - 1) * 1024 + int($1)] = strcol(5), Factor[int($2)] = strcol(6), Head[p] = strcol(7), $1) nooutput
}

cell = 46.0
margin = 92.0
gap = 34.0 * (panels - 1)
width = margin + cell * (Wide[1] + Wide[2]) + gap + 96
width = width < 640 ? 640 : width
foot = 92.0
head = title eq "" ? 34 : 62
height = head + 30 * factors + foot
left(p) = (margin + (p == 2 ? cell * Wide[1] + gap : 0)) / width
right(p) = left(p) + cell * Wide[p] / width
share(a, c) = a <= c ? 0 : (a - c) / (100.0 - c)

do for [format in "svg png pdf"] {
    eval("set terminal ".terminal(format, width, height))
    set output out.".".format
    set multiplot
    set border 0
    set style fill solid 1 noborder
    unset key
    set palette defined (0 "#440154", 0.25 "#3b528b", 0.5 "#21918c", 0.75 "#5ec962", 1 "#fde725")
    set cbrange [0:1]
    set yrange [factors+0.5:0.5]
    set tmargin at screen 1 - 1.0 * head / height; set bmargin at screen foot / height
    set label title at screen 0.5, screen 1 - 18.0 / height center noenhanced font heading(format)
    set cbtics ("chance" 0, "half way" 0.5, "100 %%" 1) scale 0
    do for [p = 1:panels] {
        set lmargin at screen left(p); set rmargin at screen right(p)
        set xrange [0.5:Wide[p]+0.5]
        unset xtics; unset ytics
        set xtics () scale 0 noenhanced; set ytics () scale 0 noenhanced
        do for [k = 1:Wide[p]] { set xtics add (Column[(p - 1) * 1024 + k] k) }
        if (p == panels) { set xtics rotate by -30 left } else { set xtics norotate }
        if (p == 1) { do for [f = 1:factors] { set ytics add (Factor[f] f) } } else { unset ytics }
        set title Head[p] noenhanced offset 0,-0.6
        if (p == panels) { set colorbox user origin screen right(p) + 10.0 / width, screen foot / height \
            size screen 10.0 / width, screen 30.0 * factors / height } else { unset colorbox }
        plot data index p-1 using 1:2:(0.5):(0.5):(share($3, $4)) with boxxyerror fs solid noborder fc palette notitle, \
             data index p-1 using 1:2:(sprintf("%.0f", $3)):(share($3, $4) > 0.6 ? 0x202020 : 0xffffff) \
                 with labels tc rgb variable notitle
        unset label
    }
    unset multiplot
    unset output
}
