// Command register is a backend for the checker of the cache's promise: versions of registers in an
// SQLite database, read and written with delays where they hurt, and writes that end in every way
// that a write can end.
//
//	GET  /r/{id}          {"id": "3", "v": 17}
//	GET  /b/{id}          the same, for a route that is served while it is validated
//	GET  /m/{id}          the same, for a route that is answered from memory too
//	GET  /s/{id}          the same, known by Last-Modified alone, and stale at once
//	GET  /list            all of them, which only the answer names
//	GET  /now/{id}        without delay, for the checker itself
//	PUT  /w/{id}?v=18     sets the version, never back
//	POST /w?id=3&v=18     likewise; only the answer says which register it was
//
// A write ends as ?fate= says: refuse (409, nothing is done), late (504, done up to a second
// later), cut (the connection ends; done, or not).
package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

type server struct {
	db    *sql.DB
	delay time.Duration // the longest
}

// A Register is one row.
type Register struct {
	ID string `json:"id"`
	V  int64  `json:"v"`
}

func main() {
	file := flag.String("db", "register.db", "the database")
	n := flag.Int("n", 8, "how many registers")
	delay := flag.Duration("delay", 8*time.Millisecond, "the longest delay")
	flag.Parse()
	if err := run(*file, *n, *delay); err != nil {
		log.Fatal(err)
	}
}

func run(file string, n int, delay time.Duration) error {
	db, err := sql.Open("sqlite", "file:"+file+
		"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(
		"CREATE TABLE register (id TEXT PRIMARY KEY, v INTEGER NOT NULL, at INTEGER NOT NULL)"); err != nil {
		return err
	}
	for i := range n {
		if _, err := db.Exec("INSERT INTO register VALUES (?, 0, 0)", strconv.Itoa(i)); err != nil {
			return err
		}
	}
	s := &server{db: db, delay: delay}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /r/{id}", s.read)
	mux.HandleFunc("GET /b/{id}", s.read)
	mux.HandleFunc("GET /m/{id}", s.read)
	mux.HandleFunc("GET /s/{id}", s.dated)
	mux.HandleFunc("GET /list", s.list)
	mux.HandleFunc("GET /now/{id}", s.now)
	mux.HandleFunc("PUT /w/{id}", s.write)
	mux.HandleFunc("POST /w", s.write)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: mux}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	fmt.Printf("listening on http://%s\n", l.Addr())
	<-ctx.Done()
	_ = server.Close()
	serving.Wait()
	return nil
}

// wait waits for some time up to the longest delay.
func (s *server) wait() { time.Sleep(rand.N(s.delay + 1)) }

// linger delays an answer, now and then for longer than a write takes.
func (s *server) linger() {
	s.wait()
	if rand.N(8) == 0 {
		time.Sleep(10 * s.delay)
	}
}

func (s *server) read(w http.ResponseWriter, r *http.Request) {
	s.wait()
	got, err := s.get(r.PathValue("id"))
	s.linger()
	show(w, r, got, err)
}

// dated knows a register by the second of its last write: of two writes in one it does not know the
// difference.
func (s *server) dated(w http.ResponseWriter, r *http.Request) {
	s.wait()
	got := Register{ID: r.PathValue("id")}
	var at int64
	err := s.db.QueryRow("SELECT v, at FROM register WHERE id = ?", got.ID).Scan(&got.V, &at)
	modified := time.Unix(at, 0).UTC().Format(http.TimeFormat)
	w.Header().Set("Last-Modified", modified)
	w.Header().Set("Cache-Control", "max-age=0")
	if err == nil && r.Header.Get("If-Modified-Since") == modified {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	answer(w, got, err)
}

func (s *server) now(w http.ResponseWriter, r *http.Request) {
	got, err := s.get(r.PathValue("id"))
	answer(w, got, err)
}

func (s *server) get(id string) (Register, error) {
	r := Register{ID: id}
	err := s.db.QueryRow("SELECT v FROM register WHERE id = ?", id).Scan(&r.V)
	return r, err
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	s.wait()
	rows, err := s.db.Query("SELECT id, v FROM register ORDER BY id")
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer rows.Close()
	var items []Register
	for rows.Next() {
		var one Register
		if err := rows.Scan(&one.ID, &one.V); err != nil {
			answer(w, nil, err)
			return
		}
		items = append(items, one)
	}
	s.linger()
	show(w, r, map[string]any{"items": items}, rows.Err())
}

func (s *server) write(w http.ResponseWriter, r *http.Request) {
	id, query := r.PathValue("id"), r.URL.Query()
	if id == "" {
		id = query.Get("id")
	}
	v, err := strconv.ParseInt(query.Get("v"), 10, 64)
	if err != nil {
		answer(w, nil, err)
		return
	}
	s.wait()
	switch query.Get("fate") {
	case "refuse":
		http.Error(w, "refused", http.StatusConflict)
		return
	case "late":
		time.AfterFunc(rand.N(time.Second), func() { _ = s.set(id, v) })
		http.Error(w, "too late", http.StatusGatewayTimeout)
		return
	case "cut":
		if rand.N(2) == 0 {
			_ = s.set(id, v)
		} else {
			time.AfterFunc(rand.N(time.Second), func() { _ = s.set(id, v) })
		}
		panic(http.ErrAbortHandler)
	}
	err = s.set(id, v)
	s.wait() // committed, and not yet answered
	answer(w, Register{ID: id, V: v}, err)
}

func (s *server) set(id string, v int64) error {
	_, err := s.db.Exec("UPDATE register SET v = max(v, ?), at = ? WHERE id = ?", v,
		time.Now().Unix(), id)
	return err
}

func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, _ := json.Marshal(value) // nothing here fails to marshal
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// show answers a read with an ETag, and with 304 and no body to a client that has it already.
func show(w http.ResponseWriter, r *http.Request, value any, err error) {
	body, _ := json.Marshal(value)
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
	if err == nil {
		w.Header().Set("Etag", etag)
	}
	if err == nil && r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	answer(w, value, err)
}
