# fill.gp: what a pair costs, against how full the range is; a panel for each size.
load "bench/plots/style.gp"
set terminal svg size 1080,700 dynamic enhanced font font_name.",12" background rgb "#ffffff"
set output results."/pair-by-fill.svg"

set multiplot layout 2,3 title "Release one address, claim another: the cost of a pair, by how full the range is" \
    font font_name.":Bold,16" margins 0.065,0.985,0.1,0.88 spacing 0.06,0.14
set label 1 machine at screen 0.985,0.018 right font font_name.",10" textcolor rgb "#57606a"

set xrange [-0.3:5.3]
set xtics ("0 %%" 0, "50 %%" 1, "90 %%" 2, "99 %%" 3, "99.9 %%" 4, "one free" 5) font font_name.",11"
set yrange [3:3e7]

do for [bits in "8 12 16 20 24"] {
    set title power(bits)." addresses" font font_name.":Bold,12"
    table = data."/fill-".bits.".tsv"
    plot for [i=columns:1:-1] table using 1:(column(i+1)) with linespoints ls i
    unset label 1
}

# The last panel names the lines.
unset title
unset border
unset tics
unset grid
unset logscale y
set xrange [0:1]
set yrange [0:1]
set key at screen 0.72,0.27 left center Left reverse vertical maxrows 7 samplen 3 spacing 1.5 font font_name.",13" textcolor rgb ink
plot for [i=1:columns] NaN with linespoints ls i title names[i]
unset multiplot
