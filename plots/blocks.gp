# The blocks of a data file of curves (written by drl_curves_write; its rows are described in downstream.gp); loaded after
# style.gp by the scripts that draw them. Sets
#
#   blocks, panels, curves, references      how many of each; the last two count labels
#   Panel[i] Kind[i] Number[i] Label[i]     of block i; style_of(i) is its line style
#   Band[i]                                 whether it has an interval
#   Title[p]                                of panel p
#   Names[k]                                of the legend: curves first, then references
#   lo, hi                                  range of the ordinate of all panels
#   key_line(k), key_point(k)               line style of a legend entry; whether it has a point

# What each block is: first row for the texts, all rows for the range of the ordinate.
stats data using 4 nooutput
blocks = STATS_blocks
panels = int(STATS_max)
array Panel[blocks]; array Kind[blocks]; array Number[blocks]; array Label[blocks]; array Title[panels]
array Band[blocks]
curves = 0; references = 0
lo = 1e300; hi = -1e300
do for [i = 1:blocks] {
    panel_title = ""; label = ""
    stats data index i-1 every ::0::0 using (panel_title = strcol(7), label = strcol(8), $5):6 nooutput
    Kind[i] = int(STATS_max_x); Number[i] = int(STATS_max_y); Label[i] = label
    stats data index i-1 using 3:4 nooutput
    Band[i] = STATS_max_x > 0; Panel[i] = int(STATS_max_y); Title[Panel[i]] = panel_title
    stats data index i-1 using ($2-$3):($2+$3) nooutput
    lo = STATS_min_x < lo ? STATS_min_x : lo
    hi = STATS_max_y > hi ? STATS_max_y : hi
    if (Kind[i] == 0) { curves = Number[i] > curves ? Number[i] : curves } \
    else { references = Number[i] > references ? Number[i] : references }
}
array Names[curves + references + 1]
do for [i = 1:blocks] { Names[Number[i] + (Kind[i] ? curves : 0)] = Label[i] }
style_of(i) = Kind[i] ? 11 + (Number[i] - 1) % 12 : 1 + (Number[i] - 1) % 6

# A twentieth of air below and above; a flat figure gets one per cent each way.
air = hi > lo ? 0.05 * (hi - lo) : 1
lo = lo - air < 0 ? 0 : lo - air; hi = hi + air > 100 ? 100 : hi + air
key_line(k) = k > curves ? 11 + (k - curves - 1) % 12 : 1 + (k - 1) % 6
key_point(k) = k <= curves
