# Accuracy of codes learned in different processes: above against the time t of the code, below against the
# signal-to-noise ratio of x_t; a column for each method, with one legend below.
#
# Variables (strings): plots, data, title, out as in downstream.gp
# Data file: as in downstream.gp, where the first half of the panels are those against t, and the others, of the same
# methods in the same order, against log10 m(t)^2 / s(t)^2 in place of t; references are drawn over the whole width.
load plots."/style.gp"
load plots."/blocks.gp"

columns = panels / 2
across = columns == 1 ? 620 : 340
width = 86 + across * columns
entries = curves + references
per_row = (width - 90) / 160
rows = (entries + per_row - 1) / per_row
head = title eq "" ? 30 : 58
tall = 220
gap = 70
foot = 62 + 20 * rows
height = head + 2 * tall + gap + foot
left(p) = (76.0 + across * ((p - 1) % columns)) / width
right(p) = left(p) + (across - 24.0) / width
bottom(p) = (foot + (p > columns ? 0 : tall + gap)) * 1.0 / height
top(p) = bottom(p) + 1.0 * tall / height
key_x(k) = (76.0 + (width - 86.0) / per_row * ((k - 1) % per_row)) / width
key_y(k) = (16.0 + 20 * (rows - 1 - (k - 1) / per_row)) / height

# x_t at t = 0 has ratios up to 10^12 in sub-VP: the abscissa below ends where images have no visible noise.
clean = 6.3
low = 1e300
do for [i = 1:blocks] {
    if (Kind[i] == 0 && Panel[i] > columns) {
        stats data index i-1 using 1 nooutput
        low = STATS_min < low ? STATS_min : low
    }
}
low = low - 0.3

do for [format in "svg png pdf"] {
    eval("set terminal ".terminal(format, width, height))
    set output out.".".format
    set multiplot
    eval(axes)
    set yrange [lo:hi]
    set format y "%g"
    unset key
    set label title at screen 0.5, screen 1 - 18.0 / height center noenhanced font heading(format)
    do for [k = 1:entries] {
        set arrow from screen key_x(k), screen key_y(k) to screen key_x(k) + 30.0 / width, screen key_y(k) nohead ls key_line(k)
        set label Names[k] at screen key_x(k) + 38.0 / width, screen key_y(k) left noenhanced
        if (key_point(k)) { set label "" at screen key_x(k) + 15.0 / width, screen key_y(k) point ls key_line(k) }
    }
    do for [p = 1:panels] {
        set lmargin at screen left(p); set rmargin at screen right(p)
        set bmargin at screen bottom(p); set tmargin at screen top(p)
        if (p <= columns) {
            set title Title[p] noenhanced offset 0,-0.5
            set xrange [-0.03:1.03]; set xtics 0, 0.2, 1; set format x "%g"
            set xlabel "time t of the code" offset 0,0.2
            from = 0; to = 1
        } else {
            unset title
            set xrange [clean:low]; set xtics -12, 2, 12; set format x "10^{%g}"
            set xlabel "signal-to-noise ratio m^2/s^2 of x_t at that time" offset 0,0.2
            from = low; to = clean
        }
        if ((p - 1) % columns == 0) { set ylabel "test accuracy (%)" offset 0.3,0; set format y "%g" } else { unset ylabel; set format y "" }
        plot for [i = 1:blocks] data index i-1 using (Panel[i] == p && Band[i] ? $1 : NaN):($2-$3):($2+$3) \
                 with filledcurves ls style_of(i) notitle, \
             for [i = 1:blocks] data index i-1 using (Panel[i] == p && Kind[i] == 1 ? ($1 == 0 ? from : to) : NaN):2 \
                 with lines ls style_of(i) notitle, \
             for [i = 1:blocks] data index i-1 using (Panel[i] == p && Kind[i] == 0 ? $1 : NaN):2 \
                 with linespoints ls style_of(i) notitle
        unset label; unset arrow
    }
    unset multiplot
    unset output
}
