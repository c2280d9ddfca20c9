package settlement

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// spool sorts records by their keys in bounded memory: what does not fit is written to the directory as sorted runs, which are
// merged when they are read. Records with equal keys keep the order they were added in.
type spool struct {
	dir    string
	memory int // bytes of records held at once
	arena  []byte
	items  []item
	runs   []*os.File
}

// item is a record in the arena: key and value, one after the other.
type item struct {
	at, key, end uint32
	head         uint64 // the key's bytes after those that all keys share; set by sort
}

const (
	itemSize    = 24
	mostInArena = 1 << 30
)

func newSpool(dir string, memory int) *spool {
	return &spool{dir: dir, memory: min(memory, mostInArena)}
}

// add copies a record.
func (s *spool) add(key, value []byte) error {
	if len(s.items) > 0 && len(s.arena)+len(key)+len(value)+len(s.items)*itemSize > s.memory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	at := len(s.arena)
	s.arena = append(append(s.arena, key...), value...)
	s.items = append(s.items, item{at: uint32(at), key: uint32(at + len(key)), end: uint32(len(s.arena))})
	return nil
}

// sort orders the records in memory. The gateway's ids begin alike, so eight bytes after what they share decide nearly always.
func (s *spool) sort() {
	if len(s.items) == 0 {
		return
	}
	shared := s.keyOf(s.items[0])
	for _, i := range s.items {
		key := s.keyOf(i)
		n := min(len(shared), len(key))
		for at := range n {
			if shared[at] != key[at] {
				n = at
				break
			}
		}
		shared = shared[:n]
	}
	for i := range s.items {
		var head [8]byte
		copy(head[:], s.keyOf(s.items[i])[len(shared):])
		s.items[i].head = binary.BigEndian.Uint64(head[:])
	}
	slices.SortFunc(s.items, func(a, b item) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		return cmp.Or(bytes.Compare(s.keyOf(a), s.keyOf(b)), cmp.Compare(a.at, b.at))
	})
}

func (s *spool) keyOf(i item) []byte { return s.arena[i.at:i.key] }

func (s *spool) spill() (err error) {
	s.sort()
	file, err := os.CreateTemp(s.dir, "settlement-*.run")
	if err != nil {
		return fmt.Errorf("spool rows: %w", err)
	}
	s.runs = append(s.runs, file)
	out := bufio.NewWriterSize(file, 64<<10)
	var head [2 * binary.MaxVarintLen64]byte
	for _, i := range s.items {
		n := binary.PutUvarint(head[:], uint64(i.key-i.at))
		n += binary.PutUvarint(head[n:], uint64(i.end-i.key))
		if _, err := out.Write(head[:n]); err != nil {
			return fmt.Errorf("spool rows: %w", err)
		}
		if _, err := out.Write(s.arena[i.at:i.end]); err != nil {
			return fmt.Errorf("spool rows: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("spool rows: %w", err)
	}
	s.arena, s.items = s.arena[:0], s.items[:0]
	return nil
}

// sorted gives all records in the order of their keys. Nothing may be added any more.
func (s *spool) sorted() (*cursor, error) {
	if len(s.runs) == 0 {
		s.sort()
		return &cursor{spool: s}, nil
	}
	if len(s.items) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	s.arena, s.items = nil, nil
	c := &cursor{spool: s, merge: make(merge, 0, len(s.runs))}
	for i, file := range s.runs {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read spooled rows: %w", err)
		}
		r := &run{number: i, in: bufio.NewReaderSize(file, 64<<10)}
		switch err := r.next(); {
		case err == nil:
			c.merge = append(c.merge, r)
		case !errors.Is(err, io.EOF):
			return nil, err
		}
	}
	heap.Init(&c.merge)
	return c, nil
}

// close removes the files.
func (s *spool) close() error {
	var errs []error
	for _, file := range s.runs {
		errs = append(errs, file.Close(), os.Remove(file.Name()))
	}
	s.runs, s.arena, s.items = nil, nil, nil
	return errors.Join(errs...)
}

// cursor walks over sorted records.
type cursor struct {
	spool *spool
	at    int
	merge merge
	used  bool // the head of the merge was given
}

// next gives the next record, valid until the next call; io.EOF after the last.
func (c *cursor) next() (key, value []byte, err error) {
	if c.merge == nil {
		if c.at == len(c.spool.items) {
			return nil, nil, io.EOF
		}
		i := c.spool.items[c.at]
		c.at++
		return c.spool.arena[i.at:i.key], c.spool.arena[i.key:i.end], nil
	}
	if c.used {
		switch err := c.merge[0].next(); {
		case err == nil:
			heap.Fix(&c.merge, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&c.merge)
		default:
			return nil, nil, err
		}
	}
	if len(c.merge) == 0 {
		c.used = false
		return nil, nil, io.EOF
	}
	c.used = true
	return c.merge[0].key, c.merge[0].value, nil
}

// run reads a file of sorted records.
type run struct {
	number     int
	in         *bufio.Reader
	buffer     []byte
	key, value []byte
}

func (r *run) next() error {
	key, err := binary.ReadUvarint(r.in)
	if err != nil {
		return err // io.EOF between two records
	}
	value, err := binary.ReadUvarint(r.in)
	if err != nil {
		return fmt.Errorf("read spooled rows: %w", err)
	}
	n := int(key + value)
	r.buffer = slices.Grow(r.buffer[:0], n)[:n]
	if _, err := io.ReadFull(r.in, r.buffer); err != nil {
		return fmt.Errorf("read spooled rows: %w", io.ErrUnexpectedEOF)
	}
	r.key, r.value = r.buffer[:key], r.buffer[key:]
	return nil
}

// merge is a heap of runs by their next key; of equal keys the earlier run comes first.
type merge []*run

func (m merge) Len() int { return len(m) }
func (m merge) Less(i, j int) bool {
	if c := bytes.Compare(m[i].key, m[j].key); c != 0 {
		return c < 0
	}
	return m[i].number < m[j].number
}
func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }

// Push is never called: runs are only taken away.
func (m *merge) Push(x any) {
	if r, isRun := x.(*run); isRun {
		*m = append(*m, r)
	}
}

// Pop takes the last run away.
func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
