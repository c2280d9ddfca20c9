package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Entry is one upserted entity. A nil Doc removes it at the next compaction.
type Entry struct {
	Kind string
	ID   string
	Doc  any
}

// Log keeps a sandbox's state as append-only JSON lines: one line per upserted entity, or per batch of entities that
// changed together. It outlives a killed process; it isn't synced against a power cut, which a stand-in needs not.
// It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	file *os.File // nil: memory only
}

// line is one line of the file: an entity, or a batch.
type line struct {
	Kind  string          `json:"kind,omitempty"`
	ID    string          `json:"id,omitempty"`
	Doc   json.RawMessage `json:"doc,omitempty"`
	Batch []line          `json:"batch,omitempty"`
}

// OpenLog opens dir/name.jsonl, gives the last state of every entity to replay in the order of their first appearance,
// and writes the file anew with just those. A torn last line, left by a crash, is dropped; a broken line elsewhere is
// an error. dir "" keeps nothing: Put succeeds and replay isn't called.
func OpenLog(dir, name string, replay func(kind, id string, doc json.RawMessage) error) (*Log, error) {
	if dir == "" {
		return &Log{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	path := filepath.Join(dir, name+".jsonl")
	entities, err := readLog(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for _, e := range entities {
		if err := replay(e.Kind, e.ID, e.Doc); err != nil {
			return nil, fmt.Errorf("replay %s %q of %s: %w", e.Kind, e.ID, path, err)
		}
	}
	if err := compact(path, entities); err != nil {
		return nil, fmt.Errorf("compact %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	return &Log{file: file}, nil
}

// Put stores the newest state of one entity.
func (l *Log) Put(kind, id string, doc any) error {
	return l.PutAll(Entry{Kind: kind, ID: id, Doc: doc})
}

// PutAll stores entities that changed together: after a crash all of them are there, or none.
func (l *Log) PutAll(entries ...Entry) error {
	if l.file == nil || len(entries) == 0 {
		return nil
	}
	batch := make([]line, 0, len(entries))
	for _, e := range entries {
		doc, err := json.Marshal(e.Doc)
		if err != nil {
			return fmt.Errorf("encode %s %q: %w", e.Kind, e.ID, err)
		}
		batch = append(batch, line{Kind: e.Kind, ID: e.ID, Doc: doc})
	}
	written := line{Batch: batch}
	if len(batch) == 1 {
		written = batch[0]
	}
	raw, err := json.Marshal(written)
	if err != nil {
		return fmt.Errorf("encode state line: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("append state: %w", err)
	}
	return nil
}

// Truncate forgets everything.
func (l *Log) Truncate() error {
	if l.file == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("truncate state: %w", err)
	}
	return nil
}

// Close syncs and closes the file. A second Close does nothing.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.file.Sync(), l.file.Close())
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// readLog returns the last state of every entity, in the order of first appearance.
func readLog(path string) ([]line, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()

	state := newEntities()
	reader := bufio.NewReaderSize(file, 1<<16)
	for number := 1; ; number++ {
		raw, err := reader.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		last := errors.Is(err, io.EOF)
		if len(bytes.TrimSpace(raw)) > 0 {
			var read line
			if err := json.Unmarshal(raw, &read); err != nil {
				// Only the very last line can be torn: whatever was appended later would follow it on the same line.
				if _, peekErr := reader.Peek(1); last || errors.Is(peekErr, io.EOF) {
					return state.list(), nil
				}
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			state.apply(read)
		}
		if last {
			return state.list(), nil
		}
	}
}

// entities is a map that remembers the order of first appearance.
type entities struct {
	index map[[2]string]int
	lines []line
}

func newEntities() *entities { return &entities{index: map[[2]string]int{}} }

func (e *entities) apply(l line) {
	if l.Batch != nil {
		for _, inner := range l.Batch {
			e.apply(inner)
		}
		return
	}
	key := [2]string{l.Kind, l.ID}
	if i, known := e.index[key]; known {
		e.lines[i] = l
		return
	}
	e.index[key] = len(e.lines)
	e.lines = append(e.lines, l)
}

func (e *entities) list() []line {
	kept := e.lines[:0:0]
	for _, l := range e.lines {
		if len(l.Doc) > 0 && string(l.Doc) != "null" {
			kept = append(kept, l)
		}
	}
	return kept
}

// compact replaces the file in one step, so that a crash leaves the old one or the new one.
func compact(path string, entities []line) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	out := bufio.NewWriterSize(temporary, 1<<16)
	encoder := json.NewEncoder(out)
	for _, e := range entities {
		if err := encoder.Encode(e); err != nil {
			return errors.Join(err, temporary.Close())
		}
	}
	if err := errors.Join(out.Flush(), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
