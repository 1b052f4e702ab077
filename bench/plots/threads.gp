# threads.gp: what a pair costs each of two threads that share one range.
load "bench/plots/style.gp"
set terminal svg size 1080,460 dynamic enhanced font font_name.",12" background rgb "#ffffff"
set output results."/two-threads.svg"

set multiplot layout 1,3 title "Two threads on one range: the cost of a pair to each of them" \
    font font_name.":Bold,16" margins 0.065,0.76,0.13,0.82 spacing 0.05,0.1
set label 1 machine at screen 0.985,0.025 right font font_name.",10" textcolor rgb "#57606a"

set xrange [-0.2:2.2]
set xtics ("50 %%" 0, "90 %%" 1, "99 %%" 2) font font_name.",12"
set yrange [8:3e5]

do for [bits in "8 16 20"] {
    set title power(bits)." addresses" font font_name.":Bold,12"
    table = data."/threads-".bits.".tsv"
    if (bits eq "20") {
        set key at screen 0.78,0.5 left center Left reverse vertical maxrows 7 samplen 3 spacing 1.5 font font_name.",12" textcolor rgb ink
    }
    plot for [i=columns:1:-1] table using 1:(column(i+1)) with linespoints ls i notitle, \
        for [i=1:columns] keyentry with linespoints ls i title names[i]
    unset label 1
}
unset multiplot
