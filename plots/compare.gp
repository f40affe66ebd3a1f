# Accuracy of methods, one panel per probe side by side: a point for each method, with its 95 % interval, the best above.
#
# Variables (strings): plots, data, title, out as in downstream.gp
# Data file: one block per probe, two blank lines between blocks, each row
#   place  mean  half95  "method"  "probe"
#     place   1, 2, ... from below; the same in all blocks
#     mean    accuracy in per cent, with half95 the half-width of its interval (0: one seed)
load plots."/style.gp"

stats data using 1 nooutput
panels = STATS_blocks
methods = int(STATS_max)
stats data using ($2-$3):($2+$3) nooutput
lo = STATS_min_x; hi = STATS_max_y
air = hi > lo ? 0.06 * (hi - lo) : 1
lo = lo - air < 0 ? 0 : lo - air; hi = hi + air > 100 ? 100 : hi + air
array Title[panels]
do for [p = 1:panels] {
    text = ""
    stats data index p-1 every ::0::0 using (text = strcol(5), $2) nooutput
    Title[p] = text
}

width = 180 + 250 * panels
head = title eq "" ? 30 : 58
height = head + 24 * methods + 60
left(p) = (166.0 + 250.0 * (p - 1)) / width
right(p) = left(p) + 232.0 / width

do for [format in "svg png pdf"] {
    eval("set terminal ".terminal(format, width, height))
    set output out.".".format
    set multiplot
    eval(axes)
    set ytics noenhanced
    set xrange [lo:hi]; set yrange [0.4:methods+0.6]
    set format x "%g"
    unset key
    set tmargin at screen 1 - 1.0 * head / height; set bmargin at screen 50.0 / height
    set label title at screen 0.5, screen 1 - 18.0 / height center noenhanced font heading(format)
    do for [p = 1:panels] {
        set lmargin at screen left(p); set rmargin at screen right(p)
        set title Title[p] noenhanced offset 0,-0.5
        set xlabel "test accuracy (%)" offset 0,0.2
        # names at the first panel; the others keep the grid
        if (p == 1) {
            plot data index p-1 using 2:1:3:ytic(stringcolumn(4)) with xerrorbars ls 1 notitle
        } else {
            set format y ""
            set ytics 1 nomirror out scale 0.5
            plot data index p-1 using 2:1:3 with xerrorbars ls 1 notitle
        }
        unset label
    }
    unset multiplot
    unset output
    set ytics autofreq
}
