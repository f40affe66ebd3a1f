# The style every figure shares; loaded first by each script of this directory.
#
#   terminal(format, w, h)   text of `set terminal` for "svg", "png" or "pdf" of w x h units; the PNG has two pixels a unit,
#                            the PDF 75 units an inch
#   heading(format)          font of a figure's title (the two terminals count in pixels and in points)
#   axes                     string to eval: axes at the left and below, with a light grid
#   line styles 1 .. 6       curves: solid, with points (colours of Okabe and Ito, told apart by the colour-blind)
#   line styles 11 .. 22     horizontal references: dashed, without points
#
# Use: eval("set terminal ".terminal(format, 900, 360))
set encoding utf8
terminal(format, w, h) = format eq "svg" \
    ? sprintf("svg size %d,%d dynamic enhanced font 'sans-serif,13' background '#ffffff'", w, h) \
    : format eq "pdf" \
    ? sprintf("pdfcairo size %g,%g enhanced font 'sans-serif,13' linewidth 1.5 background '#ffffff'", w / 75.0, h / 75.0) \
    : sprintf("pngcairo size %d,%d enhanced font 'sans-serif,10' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'", \
              2 * w, 2 * h)
heading(format) = format eq "png" ? ",12" : ",16"

set style line 1 lc rgb "#0072b2" lw 2 pt 7  ps 0.55
set style line 2 lc rgb "#d55e00" lw 2 pt 5  ps 0.5
set style line 3 lc rgb "#009e73" lw 2 pt 9  ps 0.65
set style line 4 lc rgb "#cc79a7" lw 2 pt 11 ps 0.65
set style line 5 lc rgb "#e69f00" lw 2 pt 13 ps 0.7
set style line 6 lc rgb "#56b4e9" lw 2 pt 4  ps 0.6
set style line 11 lc rgb "#222222" lw 1.6 dt (8,4)
set style line 12 lc rgb "#888888" lw 1.6 dt (2,3)
set style line 13 lc rgb "#cc79a7" lw 1.6 dt (10,3,2,3)
set style line 14 lc rgb "#e69f00" lw 1.6 dt (6,3)
set style line 15 lc rgb "#56b4e9" lw 1.6 dt (10,3,2,3,2,3)
set style line 16 lc rgb "#8c564b" lw 1.6 dt (2,3)
set style line 17 lc rgb "#7a5195" lw 1.6 dt (12,4)
set style line 18 lc rgb "#009e73" lw 1.6 dt (4,2)
set style line 19 lc rgb "#0072b2" lw 1.6 dt (2,4)
set style line 20 lc rgb "#d55e00" lw 1.6 dt (8,2,2,2)
set style line 21 lc rgb "#999933" lw 1.6 dt (5,5)
set style line 22 lc rgb "#aa4499" lw 1.6 dt (1,2)
set style fill transparent solid 0.18 noborder

# grid, axes
set style line 100 lc rgb "#e4e4e4" lw 0.7
set style line 101 lc rgb "#555555" lw 0.9
axes = "set grid back ls 100; set border 3 ls 101; set xtics nomirror out scale 0.5; set ytics nomirror out scale 0.5"
