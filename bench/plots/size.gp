# size.gp: what a pair costs, against the size of the range, half full and nearly full.
load "bench/plots/style.gp"
set terminal svg size 1080,460 dynamic enhanced font font_name.",12" background rgb "#ffffff"
set output results."/pair-by-size.svg"

set multiplot layout 1,2 title "Release one address, claim another: the cost of a pair, by the size of the range" \
    font font_name.":Bold,16" margins 0.065,0.76,0.13,0.82 spacing 0.05,0.1
set label 1 machine at screen 0.985,0.025 right font font_name.",10" textcolor rgb "#57606a"

set xrange [7:25]
set xtics ("2⁸" 8, "2¹²" 12, "2¹⁶" 16, "2²⁰" 20, "2²⁴" 24) font font_name.",12"
set yrange [3:3e7]

set title "50 % full" font font_name.":Bold,12"
plot for [i=columns:1:-1] data."/size-50.tsv" using 1:(column(i+1)) with linespoints ls i
unset label 1
set title "99 % full" font font_name.":Bold,12"
set key at screen 0.78,0.5 left center Left reverse vertical maxrows 7 samplen 3 spacing 1.5 font font_name.",12" textcolor rgb ink
plot for [i=columns:1:-1] data."/size-99.tsv" using 1:(column(i+1)) with linespoints ls i notitle, \
    for [i=1:columns] keyentry with linespoints ls i title names[i]
unset multiplot
