package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"fmt"
	"net/url"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed schema.sql
var schema string

// A store is the game's SQLite database. Reads run side by side; writes go through one connection,
// one after another, so that none ever waits for SQLite's lock. It is safe for concurrent use.
type store struct {
	reader, writer *sql.DB
}

// openStore opens or creates the database in the file at path.
func openStore(path string) (*store, error) {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)",
			"foreign_keys(1)"},
	}.Encode()
	writer, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	if _, err := writer.Exec(schema); err != nil {
		writer.Close()
		return nil, fmt.Errorf("creating the tables in %s: %w", path, err)
	}
	reader, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		writer.Close()
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	reader.SetMaxOpenConns(max(4, runtime.NumCPU()))
	return &store{reader: reader, writer: writer}, nil
}

// Close closes the database. Nothing may use it any more.
func (s *store) Close() error {
	if err := s.reader.Close(); err != nil {
		return err
	}
	return s.writer.Close()
}

// write runs change in a transaction that is committed when it returns nil. When write returns nil,
// every later read sees the change.
func (s *store) write(ctx context.Context, change func(*sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a write: %w", err)
	}
	defer tx.Rollback() // of no effect after Commit
	if err := change(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// A querier reads from the database, or within a write from its transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanner is a row of either kind.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows of a query; the result is never nil.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// column scans rows of one text column.
func column(row scanner) (s string, err error) {
	err = row.Scan(&s)
	return s, err
}

// newID returns an unguessable id for a new row.
func newID() string { return strings.ToLower(rand.Text()) }
