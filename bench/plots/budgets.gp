# budgets.gp: how much of its budget each promise uses; the line is the budget.
load "bench/plots/style.gp"
table = data."/budgets.tsv"
stats table using 2 nooutput
rows = STATS_records
set terminal svg size 1180,(110 + 27 * rows) dynamic enhanced font font_name.",12" background rgb "#ffffff"
set output results."/budgets.svg"

unset logscale y
unset grid
set label 2 "Budgets and what was measured: the worst case of each promise, as a share of its budget" \
    at screen 0.5, 1 - 26.0 / (110 + 27 * rows) center font font_name.":Bold,16" textcolor rgb ink
set label 1 machine at screen 0.985,0.018 right font font_name.",10" textcolor rgb "#57606a"
set lmargin at screen 0.34
set rmargin at screen 0.985
set tmargin at screen 1 - 62.0 / (110 + 27 * rows)
set bmargin at screen 48.0 / (110 + 27 * rows)

set border 0
set yrange [rows - 0.4:-0.6]
set ytics scale 0 font font_name.",12"
set xrange [0:7.6]
set xtics ("0" 0, "the budget" 1, "2 ×" 2, "3 ×" 3, "4 × or more" 4) scale 0 font font_name.",11"
set grid xtics lc rgb faint lw 0.8 lt 1
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb ink lw 2 front
half = 0.31

plot table using (0):0:(0):2:($0 - half):($0 + half):(column(3) == 1 ? 0x2a9d8f : 0xd1495b):ytic(1) \
        with boxxyerror fs solid 0.85 noborder lc rgb variable, \
    table using (4.08):0:4 with labels left font font_name.",11" textcolor rgb ink
