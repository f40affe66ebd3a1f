# 2-dimensional codes of test images, coloured by class, and below them images sampled from a grid of codes; a column for
# each way of training.
#
# Variables (strings): plots, data, title, out as in downstream.gp
# Data file: a block for each column, two blank lines behind each, of rows
#   x  y  class  side  "title"
#     x, y    the central 90 % of the codes reach from -1 to 1 in either
#     class   0, 1, ...; side: pixels of a side of the square grid
# then a block of rows  class  "name". The pixels of the grids, side x side x 3 bytes each, follow each other in the file
# of the same name that ends in .rgb: from above, codes of -1 ... 1 to the right, 1 ... -1 downwards.
load plots."/style.gp"

stats data using 1 nooutput
panels = STATS_blocks - 1
array Title[panels]; array Side[panels]; array Name[256]
do for [p = 1:panels] {
    text = ""
    stats data index p-1 every ::0::0 using (text = strcol(5), $4) nooutput
    Title[p] = text; Side[p] = int(STATS_max)
}
stats data index panels using (Name[int($1) + 1] = strcol(2), $1) nooutput
classes = int(STATS_max) + 1
pixels = data[1:strlen(data) - 4].".rgb"
shown = classes < 20 ? classes : 0

side = panels > 3 ? 232 : 300
per_row = (panels * (side + 26)) / 118
rows = shown == 0 ? 0 : (shown + per_row - 1) / per_row
head = title eq "" ? 30 : 58
foot = 26 + 20 * rows
width = 60 + panels * (side + 26)
width = width < 640 ? 640 : width
height = head + 2 * side + 62 + foot
left(p) = (52.0 + (side + 26) * (p - 1)) / width
right(p) = left(p) + 1.0 * side / width
key_x(k) = (58.0 + 118 * ((k - 1) % per_row)) / width
key_y(k) = (14.0 + 20 * (rows - 1 - (k - 1) / per_row)) / height

# Ten colours that the colour-blind tell apart (Paul Tol, muted), repeated with other points.
colours = "#332288 #88ccee #117733 #ddcc77 #cc6677 #aa4499 #44aa99 #999933 #882255 #777777"
do for [k = 1:classes] {
    set style line 200+k lc rgb word(colours, (k - 1) % 10 + 1) pt (((k - 1) / 10) % 2 ? 5 : 7) ps 0.22
    set style line 500+k lc rgb word(colours, (k - 1) % 10 + 1) pt (((k - 1) / 10) % 2 ? 5 : 7) ps 0.8
}

do for [format in "svg png pdf"] {
    eval("set terminal ".terminal(format, width, height))
    set output out.".".format
    set multiplot
    eval(axes)
    unset key
    set label title at screen 0.5, screen 1 - 18.0 / height center noenhanced font heading(format)
    do for [k = 1:shown] {
        set label "" at screen key_x(k), screen key_y(k) point ls 500+k
        set label Name[k] at screen key_x(k) + 10.0 / width, screen key_y(k) left noenhanced
    }
    do for [p = 1:panels] {
        set lmargin at screen left(p); set rmargin at screen right(p)
        set tmargin at screen 1 - 1.0 * head / height; set bmargin at screen 1 - (head + side) * 1.0 / height
        set title Title[p] noenhanced offset 0,-0.5
        set xrange [-1.6:1.6]; set yrange [-1.6:1.6]
        set xtics -1, 1, 1; set ytics -1, 1, 1; set format x "%g"
        if (p == 1) { set ylabel "codes of test images" offset 1.2,0; set format y "%g" } else { unset ylabel; set format y "" }
        plot for [k = 1:classes] data index p-1 using ($3 == k - 1 ? $1 : NaN):2 with points ls 200+k notitle
        unset label
        set tmargin at screen 1 - (head + side + 34) * 1.0 / height; set bmargin at screen 1 - (head + 2 * side + 34) * 1.0 / height
        unset title
        n = Side[p]
        set xrange [-0.5:n-0.5]; set yrange [n-0.5:-0.5]
        set xtics ("-1" n / 16.0, "1" n - n / 16.0); set ytics ("1" n / 16.0, "-1" n - n / 16.0)
        if (p == 1) { set ylabel "images sampled from codes" offset 1.2,0 } else { set ytics ("" n / 16.0, "" n - n / 16.0) }
        plot pixels binary skip=(p - 1) * n * n * 3 array=(n, n) format='%uchar' using 1:2:3 with rgbimage notitle
        set xtics autofreq; set ytics autofreq
    }
    unset multiplot
    unset output
}
