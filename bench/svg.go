package main

import (
	"fmt"
	"slices"
	"strings"
)

// Sizes in a picture.
const (
	barWidth, barGap, groupGap = 16, 3, 26
	panelGap                   = 46
	panelHeight                = 170
	left, top                  = 46, 46
	bottom                     = 44
)

// pictures are the SVG files by name: for each kind the CPU time of a request.
func (r *result) pictures() map[string]string {
	files := map[string]string{}
	for _, kind := range kinds {
		if p := r.picture(kind); p != "" {
			files["performance-"+kind+".svg"] = p
		}
	}
	return files
}

// A panel is the part of a picture for one size of bodies. It has its own scale.
type panel struct {
	body  int
	cells []cell
}

func (r *result) panels(kind string) (panels []panel) {
	for _, c := range r.Cells {
		if c.Kind != kind || c.Changing {
			continue
		}
		i := slices.IndexFunc(panels, func(p panel) bool { return p.body == c.Body })
		if i < 0 {
			i, panels = len(panels), append(panels, panel{body: c.Body})
		}
		panels[i].cells = append(panels[i].cells, c)
	}
	return panels
}

// The colours can be told apart on a light and on a dark ground, and so can the text.
const svgHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"
 width="%[1]d" height="%[2]d" role="img" font-family="system-ui, sans-serif" font-size="11">
<title>%s</title>
<style>
text { fill: #24292f } .axis { stroke: #8c959f }
.sidecar { fill: #0969da } .peer0 { fill: #57ab5a } .peer1 { fill: #c69026 }
.peer2 { fill: #986ee2 } .peer3 { fill: #39b3b3 } .peer4 { fill: #8c959f } .redis { fill: #cf4a4a } .small { font-size: 9px }
@media (prefers-color-scheme: dark) { text { fill: #d1d7e0 } .sidecar { fill: #539bf5 } }
</style>
`

func (r *result) picture(kind string) string {
	panels := r.panels(kind)
	if len(panels) == 0 {
		return ""
	}
	var b strings.Builder
	x := left
	for _, p := range panels {
		x = p.draw(&b, x) + panelGap
	}
	title := "CPU microseconds of a request, " + workNames[kind]
	if kind == fromRedis {
		title += "; above in red: Redis's own"
	}
	width, height := max(x-panelGap+12, 480), top+panelHeight+bottom
	return fmt.Sprintf(svgHead, width, height, title) +
		fmt.Sprintf("<text x=\"8\" y=\"14\" font-weight=\"600\">%s</text>\n", title) +
		legend(panels[0].cells[0]) + b.String() + "</svg>\n"
}

// bars are the series of a cell that have a cost.
func (c cell) bars() []series {
	return slices.DeleteFunc(slices.Clone(c.Series),
		func(s series) bool { return s.Name == directName })
}

func legend(c cell) string {
	var b strings.Builder
	x := 8
	for i, s := range c.bars() {
		fmt.Fprintf(&b,
			"<rect x=\"%d\" y=\"22\" width=\"10\" height=\"10\" class=\"%s\"/>"+
				"<text x=\"%d\" y=\"31\">%s</text>\n",
			x, class(i), x+14, s.Name)
		x += 34 + 7*len(s.Name)
	}
	return b.String()
}

// class is the class of the i-th series; the first is the sidecar.
func class(i int) string {
	if i == 0 {
		return "sidecar"
	}
	return fmt.Sprintf("peer%d", (i-1)%5)
}

// draw draws a panel whose left end is x, and returns its right end.
func (p panel) draw(b *strings.Builder, x int) (end int) {
	greatest := 0.0
	for _, c := range p.cells {
		for _, s := range c.bars() {
			greatest = max(greatest, median(s.Samples, cost))
		}
	}
	base, begin := top+panelHeight, x
	scale := func(v float64) float64 { return v / max(greatest, 1) * (panelHeight - 16) }
	for _, c := range p.cells {
		first := x
		for i, s := range c.bars() {
			all := median(s.Samples, cost)
			h, redis := scale(all), scale(median(s.Samples, ofRedis))
			bar(b, x, float64(base)-h+redis, h-redis, class(i))
			if redis > 0 {
				bar(b, x, float64(base)-h, redis, "redis")
			}
			fmt.Fprintf(b,
				"<text x=\"%d\" y=\"%.1f\" text-anchor=\"middle\" class=\"small\">%.0f</text>\n",
				x+barWidth/2, float64(base)-h-3, all)
			x += barWidth + barGap
		}
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d</text>\n",
			(first+x-barGap)/2, base+14, c.Connections)
		x += groupGap
	}
	end = x - groupGap
	fmt.Fprintf(b, "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%[3]d\" class=\"axis\"/>\n", begin-6,
		end+6, base)
	fmt.Fprintf(b,
		"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s bytes, by connections</text>\n",
		(begin+end)/2, base+32, grouped(p.body))
	return end
}

func bar(b *strings.Builder, x int, y, height float64, class string) {
	fmt.Fprintf(b, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" class=\"%s\"/>\n", x, y,
		barWidth, height, class)
}
