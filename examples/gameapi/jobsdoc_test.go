package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
)

// The statements with which docs/jobs.md makes an API safe for jobs, as many attempts at once take
// its steps.
func TestTheStepsOfTheJobsPageDoTheWorkOnce(t *testing.T) {
	page, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(page)
	claim := regexp.MustCompile("`(INSERT INTO answered [^`]*)`").FindSubmatch(page)
	if table == nil || claim == nil {
		t.Fatal("the page has no statements")
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "db")+
		"?_txlock=immediate&_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(string(table[1])); err != nil {
		t.Fatal(err)
	}
	var effects atomic.Int32
	attempt := func(caller, key string) (status int, body string, err error) {
		tx, err := db.Begin()
		if err != nil {
			return 0, "", err
		}
		defer tx.Rollback()
		claimed, err := tx.Exec(string(claim[1]), caller, key)
		if err != nil {
			return 0, "", err
		}
		if n, _ := claimed.RowsAffected(); n == 0 {
			err := tx.QueryRow(`SELECT status, body FROM answered WHERE caller = ? AND key = ?`,
				caller, key).Scan(&status, &body)
			return status, body, err
		}
		effects.Add(1)
		status, body = 201, "made for "+caller
		if _, err := tx.Exec(
			`UPDATE answered SET status = ?, body = ? WHERE caller = ? AND key = ?`, status, body,
			caller, key); err != nil {
			return 0, "", err
		}
		return status, body, tx.Commit()
	}
	var all sync.WaitGroup
	for _, caller := range []string{"thorin", "lyra"} {
		for range 10 {
			all.Go(func() {
				if status, body, err := attempt(caller, "k1"); err != nil || status != 201 ||
					body != "made for "+caller {
					t.Errorf("%d %q, %v", status, body, err)
				}
			})
		}
	}
	all.Wait()
	if n := effects.Load(); n != 2 {
		t.Errorf("the work was done %d times, want once for each caller", n)
	}
}
