package jobs

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// kiln is an API that counts how many requests of each caller, and of all, are under way.
type kiln struct {
	mu    sync.Mutex
	now   map[string]int
	most  map[string]int
	asked int
}

func (k *kiln) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := []string{"all", r.Header.Get("Authorization")}
	k.mu.Lock()
	k.asked++
	for _, name := range who {
		k.now[name]++
		k.most[name] = max(k.most[name], k.now[name])
	}
	k.mu.Unlock()
	time.Sleep(20 * time.Millisecond) // work
	k.mu.Lock()
	for _, name := range who {
		k.now[name]--
	}
	k.mu.Unlock()
}

func TestOnlySoManyJobsRunAtOnceInAllSidecars(t *testing.T) {
	t.Parallel()
	k := &kiln{now: map[string]int{}, most: map[string]int{}}
	a, b := newWorld(t, shared, k.ServeHTTP), newWorld(t, shared, k.ServeHTTP)
	var ids []string
	for range 3 {
		for _, who := range []string{"alice", "bob", "carol"} {
			ids = append(ids, a.accept(a.to("/kiln", who)))
		}
	}
	a.work()
	b.work()
	for _, id := range ids {
		a.await(id, Succeeded)
	}
	if k.most["all"] > 2 || k.most["alice"] > 1 || k.most["bob"] > 1 || k.asked != len(ids) {
		t.Errorf("at most %v ran at once, of %d", k.most, k.asked)
	}
	for _, d := range scopesOf("kiln", a.to("/kiln", "alice").Owner) {
		awaitTrue(t, "the slots are back",
			func() bool { return shared.For(t).Do("ZCARD", a.Names.Slots(d)) == int64(0) })
	}
}

func TestJobsThatWaitForASlotHoldNoWorker(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/kiln" {
			<-finish
		}
		answer(201)(rw, r)
	}, func(o *Options) { o.Concurrency = 2 })
	var ids []string
	for range 5 {
		ids = append(ids, w.accept(w.to("/kiln", "alice")))
	}
	other := w.accept(w.to("/craft/1", "alice"))
	w.work()
	w.await(other, Succeeded)
	close(finish)
	for _, id := range ids {
		w.await(id, Succeeded)
	}
}

func TestTheSlotsOfASidecarThatDiedComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	s := w.to("/kiln", "alice")
	slots := w.slotsOf(s.Job, s.Route, s.Owner)
	if ok, err := w.takeSlots(t.Context(), "dead", slots); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := w.takeSlots(t.Context(), "next", slots); ok || err != nil {
		t.Fatal("the caller has two", err)
	}
	r := shared.For(t)
	if n := r.Do("ZCARD", slots[0].key); n != int64(1) {
		t.Errorf("of the first slot %v are taken, though the second could not be", n)
	}
	for _, s := range slots {
		r.Do("ZADD", s.key, time.Now().Add(-time.Second).Unix(), "dead")
	}
	if ok, err := w.takeSlots(t.Context(), "next", slots); !ok || err != nil {
		t.Error("they stay taken", err)
	}
}

func TestAJobThatWaitsIsCalledWhenASlotIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	s, r := w.to("/kiln", "alice"), shared.For(t)
	slots := w.slotsOf(s.Job, s.Route, s.Owner)
	if ok, err := w.takeSlots(t.Context(), "another", slots); !ok || err != nil {
		t.Fatal(ok, err)
	}
	id := w.accept(s)
	stop := w.work()
	awaitTrue(t, "it waits", func() bool { return !w.retryAt(r, id).IsZero() })
	stop()
	w.callNext(s.Route, s.Job.Queue)
	if n := r.Do("LLEN", asynqKey(w.queue.asynq("default"), "pending")); n != int64(1) ||
		!w.retryAt(r, id).IsZero() {
		t.Errorf("%v tasks can be taken", n)
	}
}

func TestASubmissionWithoutASlotWaitsAsAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	s := w.to("/kiln", "alice")
	slots := w.slotsOf(s.Job, s.Route, s.Owner)
	if ok, err := w.takeSlots(t.Context(), "another", slots); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.Within = time.Minute
	r := w.Submit(t.Context(), nil, s)
	if r.Outcome != Accepted || r.Local != nil || r.Status != Queued {
		t.Fatalf("%+v", r)
	}
	w.dropSlots("another", slots)
	w.work()
	w.await(r.ID, Succeeded)
}

func TestAJobThatIsCanceledWhileItWaitsKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201),
		func(o *Options) { o.Limited = func() []string { return []string{"kiln"} } })
	s, r := w.to("/kiln", "alice"), shared.For(t)
	slots := w.slotsOf(s.Job, s.Route, s.Owner)
	if ok, err := w.takeSlots(t.Context(), "another", slots); !ok || err != nil {
		t.Fatal(ok, err)
	}
	var ids []string
	for range calledIn + 2 {
		ids = append(ids, w.accept(s))
	}
	stop := w.work()
	for _, id := range ids {
		awaitTrue(t, "it waits", func() bool { return !w.retryAt(r, id).IsZero() })
	}
	stop()
	if waiting, err := w.Waiting(t.Context()); err != nil || waiting["kiln"] != len(ids) {
		t.Errorf("%v wait for a slot, %v", waiting, err)
	}
	record, err := w.Job(t.Context(), nil, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if status, err := w.Cancel(t.Context(), nil, record); status != Canceled || err != nil {
		t.Fatal(status, err)
	}
	line := w.Names.Line(scope("route", "kiln"))
	if r.Do("ZSCORE", line, ids[0]) != nil {
		t.Error("the canceled job stands in the line")
	}
	for _, id := range ids[1:] { // others are gone without a word
		if id != ids[len(ids)-1] {
			w.dropTask(t.Context(), s.Job.Queue, id)
		}
	}
	w.callNext(s.Route, s.Job.Queue)
	w.callNext(s.Route, s.Job.Queue)
	if n := r.Do("LLEN", asynqKey(w.queue.asynq("default"), "pending")); n != int64(1) {
		t.Errorf("%v tasks can be taken", n)
	}
	if n := r.Do("ZCARD", line); n != int64(1) {
		t.Errorf("%v jobs stand in the line", n)
	}
}

func TestASidecarWithoutWorkersKeepsTheSlotsThatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, func(rw http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // it is cut off in the end
	}, func(o *Options) { o.Concurrency, o.DrainTimeout = 0, time.Minute })
	stop := w.work()
	t.Cleanup(w.cutOff)
	s, r := w.to("/kiln", "alice"), shared.For(t)
	s.Within = time.Minute
	receipt := w.Submit(t.Context(), nil, s)
	if receipt.Local == nil {
		t.Fatalf("%+v", receipt)
	}
	slot := w.slotsOf(s.Job, s.Route, s.Owner)[0].key
	soon := time.Now().Add(10 * time.Second).Unix()
	renewed := func() bool {
		till, _ := r.Do("ZSCORE", slot, receipt.ID).(float64)
		return int64(till) > soon
	}
	r.Do("ZADD", slot, "XX", soon, receipt.ID)
	awaitTrue(t, "the slot is renewed", renewed)
	ended := make(chan struct{})
	go func() { defer close(ended); stop() }()
	t.Cleanup(func() { w.cutOff(); <-ended })
	r.Do("ZADD", slot, "XX", soon, receipt.ID)
	awaitTrue(t, "it is renewed while the process ends", renewed)
}

func TestASidecarWithoutWorkersThatHoldsNothingAsksRedisNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201), func(o *Options) { o.Concurrency = 0 })
	if err := w.renewHeld(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.recover(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if ops := w.cut.ops(); len(ops) != 0 {
		t.Errorf("it asked %q", ops)
	}
}
