# conflicts.gp: how often another server was faster, against how much of the range is free.
load "bench/plots/style.gp"
set terminal svg size 960,560 dynamic enhanced font font_name.",12" background rgb "#ffffff"
set output results."/scale-conflicts.svg"
set datafile nocolumnheaders
set format x ""
points = data."/conflicts.tsv"

set title "First draws in conflict: 10^7 addresses (lines: formula, marks: simulation)" font font_name.":Bold,15"
set logscale xy
set xrange [0.7:7e-6]
set yrange [5e-7:2]
set xlabel "free part of the range"
set xtics ("50 %%" 0.5, "10 %%" 0.1, "1 %%" 0.01, "0.1 %%" 0.001, "0.01 %%" 0.0001, "0.001 %%" 0.00001)
set ytics ("0.0001 %%" 1e-6, "0.001 %%" 1e-5, "0.01 %%" 1e-4, "0.1 %%" 1e-3, "1 %%" 1e-2, "10 %%" 0.1, "100 %%" 1)
set key top left Left reverse samplen 3 spacing 1.4 textcolor rgb ink

plot points index 1 using 2:3 with lines ls 4 title "1000 servers, 2000/s, heard after 1 s", \
     points index 1 using 2:($4 > 0 ? $4 : NaN) with points ls 4 notitle, \
     points index 0 using 2:3 with lines ls 2 title "1000 servers, 2000/s, after 20 ms", \
     points index 0 using 2:($4 > 0 ? $4 : NaN) with points ls 2 notitle, \
     points index 3 using 2:3 with lines ls 3 title "10 servers, 2000/s, after 20 ms", \
     points index 3 using 2:($4 > 0 ? $4 : NaN) with points ls 3 notitle, \
     points index 4 using 2:3 with lines ls 5 title "1000 servers, 200/s, after 20 ms", \
     points index 4 using 2:($4 > 0 ? $4 : NaN) with points ls 5 notitle
