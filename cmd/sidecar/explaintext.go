package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"sidecar/policy"
	"sidecar/proxy"
)

// labelWidth is the column in which the text of an explanation begins.
const labelWidth = 12

// A page is an explanation as text. It keeps the first error.
type page struct {
	to  io.Writer
	err error
}

func (p *page) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format, args...)
	}
}

// line writes a label and a text; further lines of the text stand below its first.
func (p *page) line(label, text string) {
	text = strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", labelWidth+2))
	p.printf("  %-*s%s\n", labelWidth, label, text)
}

// does has the words for policy.Explanation.Does.
var does = map[string]string{
	"cache":  "answered from the cache, or stored: a read of a cached route",
	"bypass": "forwarded past the cache",
	"write":  "forwarded as a write; a success invalidates what is named below",
	"job":    "answered 202: it becomes a job",
	"deny":   "answered 404; nothing reaches the API",
}

// writeExplanation writes an explanation as text. file is the policies file.
func writeExplanation(w io.Writer, file string, e proxy.Live) error {
	p := &page{to: w}
	p.printf("%s %s\n\n", e.Method, e.Target)
	p.line("result", does[e.Does])
	if e.Reason != nil {
		p.line("because", reasonText(*e.Reason))
	}
	if e.Route != nil {
		p.line("route", routeText(file, *e.Route))
	} else {
		p.line("route", "none matches")
	}
	p.line("caller", e.Caller)
	if e.Stored != nil {
		p.stored(*e.Stored)
	}
	if e.Read != nil {
		p.read(*e.Read)
	}
	if e.Job != nil {
		p.line("job",
			fmt.Sprintf("queue %s, at most %d retries of %s each, kept for %s, body up to %d bytes",
				e.Job.Queue, e.Job.MaxRetry, e.Job.Timeout, e.Job.Retention, e.Job.MaxBody))
	}
	if e.Write != nil {
		p.write(*e.Write)
	}
	for i, near := range e.Near {
		p.line(first(i, "not by"), routeText(file, near))
	}
	for i, note := range e.Notes {
		p.line(first(i, "note"), note)
	}
	if p.err != nil {
		return failed(p.err)
	}
	return nil
}

// first is a label for the first line of several.
func first(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

func reasonText(w policy.Why) string {
	text := fmt.Sprintf("%s: %s", w.Reason, w.Says)
	if w.Template != "" {
		text += "\nthe template is " + w.Template
	}
	if w.Remedy != "" {
		text += "\n" + w.Remedy
	}
	return text
}

// states has the words for proxy.Stored.State.
var states = map[string]string{
	"fresh":       "a fresh response: the next request is a hit",
	"stale":       "a stale response",
	"invalidated": "a response that a write has invalidated",
	"none":        "nothing",
	"unknown":     "not known: Redis could not be asked",
}

func (p *page) stored(s proxy.Stored) {
	text := states[s.State]
	if s.In != "" {
		text += fmt.Sprintf("\nstatus %d, %d bytes, in %s, %s old", s.Status, s.Bytes, s.In, s.Age)
		if s.State == "fresh" {
			text += ", for " + s.TTL + " more"
		}
	}
	if len(s.Vary) > 0 {
		text += "\nit varies on " + strings.Join(s.Vary, ", ")
	}
	if s.Why != nil {
		text += "\n" + reasonText(*s.Why)
	}
	p.line("stored", text)
}

func routeText(file string, r policy.RouteMatch) string {
	text := fmt.Sprintf("%s: %s (%s, %s:%d)", r.Name, r.Pattern, r.Kind, file, r.Line)
	if r.But != "" {
		text += "\n" + r.But
	}
	return text
}

func (p *page) read(r policy.ReadAnswer) {
	p.line("key", table(r.Key)+"and the fields that the response's Vary names")
	p.line("tags", strings.Join(r.Tags, "\n"))
	if len(r.FromBody) > 0 {
		p.line("", "from the response: "+strings.Join(r.FromBody, ", "))
	}
	if len(r.Families) > 0 {
		p.line("families", strings.Join(r.Families, "\n"))
	}
	p.lifetime(r.Lifetime)
	if r.Memory != "" {
		p.line("memory", r.Memory+" in this process")
	}
	if r.Verify != "" {
		p.line("verified", r.Verify+" of the hits are compared with the API's answer")
	}
	for i, d := range r.DroppedBy {
		by := "it writes to this path"
		if len(d.Templates) > 0 {
			by = strings.Join(d.Templates, ", ")
		}
		p.line(first(i, "dropped by"),
			fmt.Sprintf("%s: %s\n%s", d.Route, strings.Join(d.Patterns, ", "), by))
	}
	p.line(first(len(r.DroppedBy), "dropped by"),
		"any other unsafe request to this path that succeeds")
}

// table lays parts out in two columns.
func table(parts []policy.KeyPart) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, part := range parts {
		fmt.Fprintf(w, "%s\t%s\n", part.Name, part.Value)
	}
	_ = w.Flush() // into memory
	return b.String()
}

func (p *page) lifetime(l policy.Lifetime) {
	switch {
	case l.NotStored != nil:
		p.line("lifetime", "a 200 that says nothing of it is not stored\n"+reasonText(*l.NotStored))
	case l.Override:
		p.line("lifetime", l.Fresh+", whatever lifetime the response states")
	case l.Fresh == "0s":
		p.line("lifetime", "validated at each use, where the response states no lifetime")
	default:
		p.line("lifetime", l.Fresh+" where the response states none")
	}
	if l.Until != "" {
		p.line("", "not used after "+l.Until+": the token's end, or caller.max_age")
	}
	for _, s := range l.Stale {
		p.line("", s.Value+" longer "+s.Name)
	}
	if l.NotServed != nil {
		p.line("but", "a fresh stored response is not served to this request\n"+
			reasonText(*l.NotServed))
	}
}

func (p *page) write(w policy.WriteAnswer) {
	for i, x := range w.Invalidates {
		p.line(first(i, "invalidates"), invalidationText(x))
	}
	if len(w.Drops) > 0 {
		p.line("entries of", strings.Join(w.Drops, ", "))
	}
	if w.Strict {
		p.line("strict", "answered 503 while Redis cannot be told")
	}
	if w.Settle != "" {
		p.line("settle", w.Settle)
	}
}

func invalidationText(x policy.Invalidation) string {
	tags := strings.Join(x.Tags, ", ")
	switch {
	case x.Template == "":
		return tags + "\nits own URI"
	case x.FromResponse:
		return fmt.Sprintf("%s\nby %s: %s, where the response's body does not say",
			tags, x.Route, x.Template)
	case tags == "":
		return fmt.Sprintf("nothing\nby %s: %s", x.Route, x.Template)
	}
	return fmt.Sprintf("%s\nby %s: %s", tags, x.Route, x.Template)
}
