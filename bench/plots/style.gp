# style.gp: what all plots share. Loaded by the scripts beside it, which get the variables `data`
# (the folder of tables) and `results` (where the SVGs go) from tools/bench.sh.
set encoding utf8
set datafile separator "\t"
set datafile missing "?"
set datafile columnheaders

ink = "#24292f"
faint = "#d8dee4"
font_name = "sans-serif"

# The limit is a line to stay close to; ipalloc stands out; the peers are told apart by colour and
# mark. The colours can be told apart by the colour-blind, too.
set style line 1 lc rgb "#57606a" lw 2 dt (6,4) pt 0 ps 0
set style line 2 lc rgb "#0072b2" lw 3.5 pt 7 ps 0.75
set style line 3 lc rgb "#e69f00" lw 1.6 pt 5 ps 0.6
set style line 4 lc rgb "#d55e00" lw 1.6 pt 9 ps 0.8
set style line 5 lc rgb "#009e73" lw 1.6 pt 11 ps 0.8
set style line 6 lc rgb "#cc79a7" lw 1.6 pt 13 ps 0.8
set style line 7 lc rgb "#8c6d31" lw 1.6 pt 4 ps 0.6

# What the columns of the tables are, in their order.
array names[7] = ["bare limit (two atomics)", "ipalloc", "mutex, bitmap by words", "Kubernetes' algorithm", \
    "mutex, CRoaring", "mutex, Judy", "mutex, sorted free list"]

set border 3 lc rgb ink lw 0.8
set tics nomirror scale 0.5 textcolor rgb ink
set grid ytics lc rgb faint lw 0.8 lt 1
set title textcolor rgb ink
unset key

machine = system("cat '" . data . "/machine.txt'")

# A logarithmic axis of durations.
set logscale y
set ytics ("1 ns" 1, "10 ns" 10, "100 ns" 100, "1 µs" 1e3, "10 µs" 1e4, "100 µs" 1e5, "1 ms" 1e6, "10 ms" 1e7, "100 ms" 1e8)

columns = 7
power(bits) = bits eq "8" ? "2⁸" : bits eq "12" ? "2¹²" : bits eq "16" ? "2¹⁶" : bits eq "20" ? "2²⁰" : "2²⁴"
