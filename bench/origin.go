package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// An origin is the API behind all servers: it answers /…/b2000 with 2000 bytes of JSON, /…/list
// with a list of 50 characters, and any other path with 200 bytes.
type origin struct {
	addr     string
	socket   string // where it listens too
	server   *http.Server
	requests atomic.Int64
	bodies   sync.Map // by the last element of the path
}

// startOrigin starts one that also listens on a Unix socket at this path.
func startOrigin(socket string) (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	near, err := net.Listen("unix", socket)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	o := &origin{addr: l.Addr().String(), socket: socket}
	o.server = &http.Server{Handler: o}
	for _, l := range []net.Listener{l, near} {
		go func() { _ = o.server.Serve(l) }() // ends when the server is closed
	}
	return o, nil
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.requests.Add(1)
	body := o.body(path.Base(r.URL.Path))
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Cache-Control"] = []string{"private, max-age=3600"}
	h["Etag"] = []string{`"v1"`}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body)
}

// body is the origin's answer to a path that ends in name.
func (o *origin) body(name string) []byte {
	if !strings.HasPrefix(strings.ToLower(name), "b") && name != "list" {
		name = sizeName(fillBody)
	}
	if made, ok := o.bodies.Load(name); ok {
		return made.([]byte)
	}
	body := []byte(list())
	if size, err := strconv.Atoi(name[1:]); err == nil {
		body = []byte(document(size))
	}
	o.bodies.Store(name, body)
	return body
}

var words = strings.Fields(`axe bow brave chain cloak dark dwarf elf far flame gate gold hall helm
	high hill iron keep king lake long mail moon night north oak old pass ring road rune shield
	silver song staff stone storm sword tower troll wall wand watch west wind wolf`)

// document is a JSON document of this many bytes that compresses as a list of game characters does.
func document(size int) string {
	const end = `"}]}`
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString(`{"success":true,"data":[`)
	character(&b, r, 1)
	for id := 2; b.Len() < size-len(end); id++ {
		if b.Len()%3 == 0 {
			b.WriteString(`"},`)
			character(&b, r, id)
		}
		b.WriteString(" " + words[r.IntN(len(words))])
	}
	return b.String()[:max(0, size-len(end))] + end
}

func character(b *strings.Builder, r *rand.Rand, id int) {
	fmt.Fprintf(b, `{"id":"%d","hp":%d,"x":%.3f,"name":"%s`, id, r.IntN(100), r.Float64(),
		words[id%len(words)])
}

// listed is how many characters the list has.
const listed = 50

func list() string {
	var b strings.Builder
	b.WriteString(`{"success":true,"data":[`)
	for i := range listed {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%d","name":"%s","hp":%d}`, i, words[i%len(words)], 10*i%97)
	}
	b.WriteString(`]}`)
	return b.String()
}
