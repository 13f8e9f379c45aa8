package store

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/reason"
)

// MaxWhole is up to how many bytes a body is held in memory and stored in one record; a longer
// one goes into chunks. It is the default of max_body.
const MaxWhole = 1 << 20

const (
	chunkSize = 256 << 10 // bytes
	// chunksInHand is how many chunks of one body are in hand: the one that fills, and those on
	// their way to Redis; one at a time is written.
	chunksInHand = 3
	// maxChunkWriters is how many bodies are stored in chunks at once. One more is not stored.
	maxChunkWriters = 16
	// chunkTime is how long a body may take: a slow reader holds one of the places for no longer.
	chunkTime = 2 * time.Minute
	// fillingTTL is how long a chunk lives unless the record that refers to it comes. A sidecar
	// that dies in mid-body leaves chunks behind, and they end with this time. It is longer than
	// chunkTime by far.
	fillingTTL = 10 * time.Minute
)

// A ChunkWriter is a body on its way into the store chunk by chunk, at its reader's pace, while
// nobody holds it whole. Run writes the bytes that Write takes, until Finish, Discard or a failure;
// in the end the answer is kept, or Discard is called. Write and Finish are for one goroutine at a
// time; Run, Wait and Discard may be called by others meanwhile.
type ChunkWriter struct {
	store    *Store
	entry    *entry.Entry // for its fields
	location entry.Chunks
	patience time.Duration
	release  func()

	inHand []byte // whole chunks, the first to be written; Run's
	// the next chunk, as far as it has come; nil: a free one is taken when the next byte comes
	filling []byte
	queue   chan []byte // full chunks, and at the end one that is not; closed by Finish
	free    chan []byte // chunks to be filled again

	// chunks that may have reached Redis; Run's, and to be read when written is closed
	begun   int
	written chan struct{} // closed when Run is over
	stop    sync.Once
	stopped chan struct{}
	why     reason.Reason // to be read when stopped is closed
	discard sync.Once
}

// NewChunkWriter begins to store the body of e in chunks, beginning with inHand, which does not
// change any more and is not empty. patience is how long Write may wait for Redis. It returns nil
// where too many bodies are being stored so, or one under the same key: nothing is to be stored
// then.
func (f *Fill) NewChunkWriter(e *entry.Entry, inHand []byte, patience time.Duration) *ChunkWriter {
	release := f.store.chunkWriters.begin(f.key)
	if release == nil {
		return nil
	}
	s := &ChunkWriter{
		store: f.store, entry: e, patience: patience, release: release,
		location: entry.Chunks{Size: int64(len(inHand)), Each: chunkSize},
		queue:    make(chan []byte, chunksInHand), free: make(chan []byte, chunksInHand),
		written: make(chan struct{}), stopped: make(chan struct{}),
	}
	// never fails; it ends the process where the system has no randomness
	_, _ = rand.Read(s.location.ID[:])
	for range chunksInHand {
		s.free <- make([]byte, 0, chunkSize)
	}
	whole := len(inHand) - len(inHand)%chunkSize
	s.inHand = inHand[:whole]
	s.fill(inHand[whole:])
	return s
}

// Write takes the next bytes of the body; it does not keep b. Where Redis is behind it waits, at
// most for patience: a body that comes faster than Redis takes it is given up, and its reader
// goes on. Once it is given up, Write does nothing.
func (s *ChunkWriter) Write(b []byte) {
	s.location.Size += int64(len(b))
	if s.location.Size > entry.MaxChunks*chunkSize {
		s.giveUp(reason.TooLarge)
	}
	s.fill(b)
}

func (s *ChunkWriter) fill(b []byte) {
	for len(b) > 0 && (s.filling != nil || s.take()) {
		n := min(len(b), chunkSize-len(s.filling))
		s.filling, b = append(s.filling, b[:n]...), b[n:]
		if len(s.filling) == chunkSize {
			s.pass()
		}
	}
}

// pass hands the chunk over. It never waits: the queue has a place for each.
func (s *ChunkWriter) pass() { s.queue <- s.filling; s.filling = nil }

// take takes a free chunk. It reports whether there is one.
func (s *ChunkWriter) take() bool {
	select {
	case <-s.stopped:
		return false
	case s.filling = <-s.free:
		return true
	default:
	}
	late := time.NewTimer(s.patience)
	defer late.Stop()
	select {
	case <-s.stopped:
		return false
	case s.filling = <-s.free:
		return true
	case <-late.C:
		s.giveUp(reason.StoreFailed)
		return false
	}
}

// Finish says that the body is complete: nothing is written any more after it. It returns where
// the chunks will lie.
func (s *ChunkWriter) Finish() *entry.Chunks {
	if len(s.filling) > 0 {
		s.pass()
	}
	close(s.queue)
	location := s.location
	return &location
}

// Run writes the chunks, one at a time and each bounded by the store's time-out. It has to be
// called, once; it ends when the body is written, given up or discarded.
func (s *ChunkWriter) Run() {
	defer s.release()
	defer close(s.written)
	var room []byte
	for ; len(s.inHand) > 0; s.inHand = s.inHand[chunkSize:] {
		if !s.writeChunk(&room, s.inHand[:chunkSize]) {
			return
		}
	}
	s.inHand = nil // not to be held for as long as a slow reader takes
	late := time.NewTimer(chunkTime)
	defer late.Stop()
	for {
		select {
		case <-s.stopped:
			return
		case <-late.C:
			s.giveUp(reason.StoreFailed)
			return
		case content, more := <-s.queue:
			if !more || !s.writeChunk(&room, content) {
				return
			}
			s.free <- content[:0]
		}
	}
}

// writeChunk writes the next chunk, coded in room. It reports whether Redis took it.
func (s *ChunkWriter) writeChunk(room *[]byte, content []byte) bool {
	select {
	case <-s.stopped:
		return false
	default:
	}
	ctx, cancel := context.WithTimeout(s.store.closing, s.store.timeout)
	defer cancel()
	*room = s.entry.EncodeChunk((*room)[:0], s.location.ID, s.begun, content)
	key := s.store.names.Chunk(s.location.ID.String(), s.begun)
	s.begun++
	set := func(ctx context.Context, c redis.UniversalClient) error {
		return c.Set(ctx, key, *room, fillingTTL).Err()
	}
	err := s.store.conn.Do(ctx, nil, "chunk", set)
	if err != nil {
		s.store.log.Debug("a chunk of an answer could not be stored", "error", err)
		s.giveUp(reason.StoreFailed)
	}
	return err == nil
}

func (s *ChunkWriter) giveUp(why reason.Reason) {
	s.stop.Do(func() {
		s.why = why
		close(s.stopped)
	})
}

// Wait waits for the end of Run. why is not empty where not all of the body is in Redis.
func (s *ChunkWriter) Wait() (why reason.Reason) {
	<-s.written
	select {
	case <-s.stopped:
		return s.why
	default:
		return ""
	}
}

// Discard gives the body up, if it was not yet, and deletes its chunks. It waits for nothing.
func (s *ChunkWriter) Discard(why reason.Reason) {
	s.giveUp(why)
	s.discard.Do(func() {
		s.store.stores.Go(func() { // Close waits for it, the time-out ends it
			<-s.written
			ctx, cancel := context.WithTimeout(s.store.closing, s.store.timeout)
			defer cancel()
			s.store.deleteChunks(ctx, s.location.ID, s.begun)
		})
	})
}

// chunkWriters are the bodies that are being stored in chunks: a bounded number, and one of each
// key, since one is all that can be found.
type chunkWriters struct {
	mu   sync.Mutex
	open map[cachekeys.Digest]struct{}
}

func newChunkWriters() *chunkWriters { return &chunkWriters{open: map[cachekeys.Digest]struct{}{}} }

// begin takes a place for the key; nil if there is none.
func (s *chunkWriters) begin(key cachekeys.Digest) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, same := s.open[key]; same || len(s.open) >= maxChunkWriters {
		return nil
	}
	s.open[key] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, key)
	}
}
