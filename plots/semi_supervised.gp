# Accuracy against the number of labels, and of the pseudo-labels against the epoch: panels side by side in rows of at
# most three, with one legend below.
#
# Variables (strings): plots   this directory
#                      data    the data file (written by drl_curves_write; its rows are described in downstream.gp)
#                      title   printed above, "" for none
#                      out     writes out.svg, out.png and out.pdf
# A panel whose title begins with "pseudo" has epochs for its abscissa, any other numbers of labels, on a logarithmic
# axis. Intervals are bars: curves of few points lie close to each other.
load plots."/style.gp"

load plots."/blocks.gp"

epochs(p) = Title[p][1:6] eq "pseudo"

# Range of the abscissa of both kinds of panels; the numbers of labels, of the first curve that has them all.
array From[2]; array To[2]
Labels = ""; most = 0
do for [k = 1:2] { From[k] = 1e300; To[k] = -1e300 }
do for [i = 1:blocks] {
    k = epochs(Panel[i]) ? 2 : 1
    stats data index i-1 using 1 nooutput
    From[k] = STATS_min < From[k] ? STATS_min : From[k]
    To[k] = STATS_max > To[k] ? STATS_max : To[k]
    points = STATS_records
    if (k == 1 && points > most) {
        most = points; Labels = ""
        do for [r = 0:points-1] {
            stats data index i-1 every ::r::r using 1 nooutput
            Labels = Labels.(r ? ", " : "").sprintf("%g", STATS_max)
        }
    }
}

# Sizes in units of the terminal: panels, ordinate at the left, legend below in columns of 200 or more.
across = panels < 3 ? panels : 3
down = (panels + across - 1) / across
width = 90 + (panels == 1 ? 430 : 290 * across)
columns = (width - 90) / 200
rows = (curves + columns - 1) / columns
head = title eq "" ? 30 : 58
foot = 20 + 20 * rows
height = head + 300 * down + foot
nth(p) = (p - 1) % across # in its line, from 0
line(p) = (p - 1) / across
left(p) = (76.0 + (width - 86.0) / across * nth(p)) / width
right(p) = left(p) + ((width - 86.0) / across - 22) / width
bottom(p) = (foot + 42.0 + 300 * (down - 1 - line(p))) / height
top(p) = bottom(p) + 222.0 / height
key_x(k) = (76.0 + (width - 86.0) / columns * ((k - 1) % columns)) / width
key_y(k) = (16.0 + 20 * (rows - 1 - (k - 1) / columns)) / height

do for [format in "svg png pdf"] {
    eval("set terminal ".terminal(format, width, height))
    set output out.".".format
    set multiplot
    eval(axes)
    set yrange [lo:hi]
    set format x "%g"; set format y "%g"
    unset key
    # title and legend go with the first panel, so that they are drawn once
    set label title at screen 0.5, screen 1 - 18.0 / height center noenhanced font heading(format)
    do for [k = 1:curves] {
        set arrow from screen key_x(k), screen key_y(k) to screen key_x(k) + 30.0 / width, screen key_y(k) nohead ls key_line(k)
        set label "pretraining: ".Names[k] at screen key_x(k) + 38.0 / width, screen key_y(k) left noenhanced
        set label "" at screen key_x(k) + 15.0 / width, screen key_y(k) point ls key_line(k)
    }
    do for [p = 1:panels] {
        set lmargin at screen left(p); set rmargin at screen right(p)
        set bmargin at screen bottom(p); set tmargin at screen top(p)
        set title Title[p] noenhanced offset 0,-0.5
        if (epochs(p)) {
            unset logscale x; set xtics autofreq
            set xrange [From[2]-0.05*(To[2]-From[2])-0.05:To[2]+0.05*(To[2]-From[2])+0.05]
            set xtics To[2] > 12 ? int(To[2] / 6) : 1
            set xlabel "epoch" offset 0,0.2
        } else {
            set logscale x; set xtics autofreq
            set xrange [From[1]/1.25:To[1]*1.25]
            eval("set xtics (".Labels.")")
            set xlabel "labels" offset 0,0.2
        }
        if (nth(p) == 0) { set ylabel "accuracy (%)" offset 0.3,0; set format y "%g" } else { unset ylabel; set format y "" }
        # what belongs to another panel is drawn as nothing
        plot for [i = 1:blocks] data index i-1 using (Panel[i] == p ? $1 : NaN):2:3 \
                 with yerrorbars ls style_of(i) pt -1 lw 1 notitle, \
             for [i = 1:blocks] data index i-1 using (Panel[i] == p ? $1 : NaN):2 \
                 with linespoints ls style_of(i) notitle
        unset label; unset arrow
    }
    unset multiplot
    unset output
}
