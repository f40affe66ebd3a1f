# Accuracy of probes against the time of the code: one panel per probe, side by side, with one legend below.
#
# Variables (strings): plots   this directory
#                      data    the data file
#                      title   printed above, "" for none
#                      out     writes out.svg, out.png and out.pdf
# Data file (written by drl_curves_write): one block per curve, two blank lines between blocks, each row
#   t  mean  half95  panel  kind  number  "panel title"  "label"
#     mean    accuracy in per cent, with half95 the half-width of its 95 % interval (0: one seed, no band)
#     panel   1, 2, ... from left to right
#     kind    0 curve; 1 horizontal reference (two rows, t = 0 and 1)
#     number  1, 2, ... among the labels of a kind: gives colour and place in the legend; the same in all panels
load plots."/style.gp"

load plots."/blocks.gp"

# Sizes in units of the terminal: panels, ordinate at the left, legend below in columns of 200 or more.
width = panels == 1 ? 520 : 90 + 290 * panels
columns = (width - 90) / 200
rows = (curves + references + columns - 1) / columns
head = title eq "" ? 30 : 58
foot = 62 + 20 * rows
height = head + 250 + foot
left(p) = (76.0 + (width - 86.0) / panels * (p - 1)) / width
right(p) = left(p) + ((width - 86.0) / panels - 22) / width
bottom = 1.0 * foot / height
top = 1 - 1.0 * head / height
key_x(k) = (76.0 + (width - 86.0) / columns * ((k - 1) % columns)) / width
key_y(k) = (16.0 + 20 * (rows - 1 - (k - 1) / columns)) / height

do for [format in "svg png pdf"] {
    eval("set terminal ".terminal(format, width, height))
    set output out.".".format
    set multiplot
    eval(axes)
    set xrange [-0.03:1.03]; set yrange [lo:hi]
    set xtics 0, 0.2, 1
    set format x "%g"; set format y "%g"
    unset key
    # title and legend go with the first panel, so that they are drawn once
    set label title at screen 0.5, screen 1 - 18.0 / height center noenhanced font heading(format)
    do for [k = 1:curves+references] {
        set arrow from screen key_x(k), screen key_y(k) to screen key_x(k) + 30.0 / width, screen key_y(k) nohead ls key_line(k)
        set label Names[k] at screen key_x(k) + 38.0 / width, screen key_y(k) left noenhanced
        if (key_point(k)) { set label "" at screen key_x(k) + 15.0 / width, screen key_y(k) point ls key_line(k) }
    }
    do for [p = 1:panels] {
        set lmargin at screen left(p); set rmargin at screen right(p)
        set bmargin at screen bottom; set tmargin at screen top
        set title Title[p] noenhanced offset 0,-0.5
        set xlabel "time t of the code" offset 0,0.2
        if (p == 1) { set ylabel "test accuracy (%)" offset 0.3,0 } else { unset ylabel; set format y "" }
        # bands first, references next, curves on top; what belongs to another panel is drawn as nothing
        plot for [i = 1:blocks] data index i-1 using (Panel[i] == p && Band[i] ? $1 : NaN):($2-$3):($2+$3) \
                 with filledcurves ls style_of(i) notitle, \
             for [i = 1:blocks] data index i-1 using (Panel[i] == p && Kind[i] == 1 ? $1 : NaN):2 \
                 with lines ls style_of(i) notitle, \
             for [i = 1:blocks] data index i-1 using (Panel[i] == p && Kind[i] == 0 ? $1 : NaN):2 \
                 with linespoints ls style_of(i) notitle
        unset label; unset arrow
    }
    unset multiplot
    unset output
}
