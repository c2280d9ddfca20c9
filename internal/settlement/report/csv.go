package report

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// maxRecord bounds one row of a CSV, so that a quote left open can't swallow the file into memory.
const maxRecord = 64 << 10

// csvRecords cuts a CSV into its rows: encoding/csv's rules, in bounded memory, with one allocation a row.
type csvRecords struct {
	in     *bufio.Reader
	line   int // where the record that was read last begins
	lines  int // read so far
	fields []string
	ended  bool // the last line read had no line end
}

var (
	errQuote    = errors.New("a quote is out of place")
	errOpen     = errors.New("a quote is not closed")
	errTooLong  = errors.New("a row is too long")
	errEncoding = errors.New("is not UTF-8, or holds a NUL")
)

func newCSVRecords(in io.Reader) *csvRecords {
	return &csvRecords{in: bufio.NewReaderSize(in, maxRecord)}
}

// skipBOM drops a byte order mark at the start.
func (c *csvRecords) skipBOM() error {
	head, err := c.in.Peek(3)
	if bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, err = c.in.Discard(3)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readLine gives the next line without its end, valid until the next read.
func (c *csvRecords) readLine() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		c.lines++
		return nil, errTooLong
	case errors.Is(err, io.EOF) && len(line) > 0:
		c.ended = true
	case err != nil:
		return nil, err
	default:
		line = line[:len(line)-1]
	}
	c.lines++
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// read gives the next record that is not a blank line. The slice is valid until the next read, its texts for ever.
func (c *csvRecords) read() ([]string, error) {
	for {
		line, err := c.readLine()
		c.line = c.lines
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		if !isText(line) {
			return nil, errEncoding
		}
		return c.split(string(line))
	}
}

// isText tells whether bytes are what databases keep as text: UTF-8 without NUL.
func isText(line []byte) bool { return utf8.Valid(line) && bytes.IndexByte(line, 0) < 0 }

// split cuts a line into its fields; a quoted field may go on over further lines.
func (c *csvRecords) split(line string) ([]string, error) {
	c.fields = c.fields[:0]
	for {
		if line == "" || line[0] != '"' {
			field, rest, more := strings.Cut(line, ",")
			if strings.IndexByte(field, '"') >= 0 {
				return nil, errQuote
			}
			c.fields = append(c.fields, field)
			if !more {
				return c.fields, nil
			}
			line = rest
			continue
		}
		field, rest, err := c.quoted(line[1:])
		if err != nil {
			return nil, err
		}
		c.fields = append(c.fields, field)
		if rest == "" {
			return c.fields, nil
		}
		if rest[0] != ',' {
			return nil, errQuote
		}
		line = rest[1:]
	}
}

// quoted reads a field after its opening quote and gives what follows the closing one.
func (c *csvRecords) quoted(line string) (field, rest string, err error) {
	at := strings.IndexByte(line, '"')
	if at >= 0 && (at+1 == len(line) || line[at+1] != '"') {
		return line[:at], line[at+1:], nil // by far the most common: part of the line as it is
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(line, '"')
		switch {
		case at < 0:
			b.WriteString(line)
			b.WriteByte('\n')
			if b.Len() > maxRecord {
				return "", "", errTooLong
			}
			next, err := c.readLine()
			if errors.Is(err, io.EOF) {
				return "", "", errOpen
			}
			if err != nil {
				return "", "", err
			}
			if !isText(next) {
				return "", "", errEncoding
			}
			line = string(next)
		case at+1 < len(line) && line[at+1] == '"':
			b.WriteString(line[:at+1])
			line = line[at+2:]
		default:
			b.WriteString(line[:at])
			return b.String(), line[at+1:], nil
		}
	}
}

// last tells whether the file ends here, but for blank lines.
func (c *csvRecords) last() bool {
	for {
		next, err := c.in.Peek(1)
		if err != nil {
			return true
		}
		if next[0] != '\n' && next[0] != '\r' {
			return false
		}
		if _, err := c.in.Discard(1); err != nil {
			return true
		}
		if next[0] == '\n' {
			c.lines++
		}
	}
}

// csvSource reads the CSV form: a line about the file, a line of column names, rows.
type csvSource struct {
	reader  *Reader
	set     columnSet
	records *csvRecords
	columns []resolved
	width   int // columns up to the last that has a name
}

func newCSVSource(r *Reader, in io.Reader, set columnSet) *csvSource {
	return &csvSource{reader: r, set: set, records: newCSVRecords(in)}
}

func (s *csvSource) open() error {
	if err := s.records.skipBOM(); err != nil {
		return err
	}
	first, err := s.records.read()
	if errors.Is(err, io.EOF) {
		return s.reader.fail(RuleEmptyFile, "")
	}
	if err != nil {
		return s.fault(err)
	}
	names := first
	if !s.isHeader(first) {
		if err := s.describe(first); err != nil {
			return err
		}
		names, err = s.records.read()
		if errors.Is(err, io.EOF) {
			return s.reader.fail(RuleTruncated, "")
		}
		if err != nil {
			return s.fault(err)
		}
	}
	s.reader.record.line = s.records.line
	return s.resolve(names)
}

// isHeader tells whether a line names columns: some one-off reports come without the line about the file.
func (s *csvSource) isHeader(fields []string) bool {
	known := 0
	for _, field := range fields {
		if s.set.known(field) {
			known++
		}
	}
	return known >= 2
}

// describe reads the line about the file: merchant, name, definition, version, period; old ones have name, version, period.
func (s *csvSource) describe(fields []string) error {
	h := &s.reader.header
	s.reader.record.line = s.records.line
	for _, field := range fields {
		if holdsCard(field) {
			return s.reader.fail(RuleCardNumber, "")
		}
	}
	period := len(fields)
	for i, field := range fields {
		from, to, isPeriod := strings.Cut(field, " to ")
		start, ok := moment(strings.TrimSpace(from))
		end, okToo := moment(strings.TrimSpace(to))
		if isPeriod && ok && okToo {
			h.Start, h.End, period = start, end, i
			break
		}
	}
	into := []*string{&h.MerchantID, &h.Name, &h.Definition, &h.Version}
	if period == 2 {
		into = []*string{&h.Name, &h.Version}
	}
	for i := range min(len(into), period) {
		*into[i] = strings.TrimSpace(fields[i])
	}
	return nil
}

func (s *csvSource) resolve(names []string) error {
	s.columns = make([]resolved, len(names))
	seen := map[field]bool{}
	for i, name := range names {
		if strings.TrimSpace(name) == "" {
			continue
		}
		s.width = i + 1
		found := s.set.resolve(splitGroup(name))
		switch {
		case found.field == fieldNone:
			s.reader.unknown(strings.TrimSpace(name))
		case found.field < numFields && seen[found.field]:
			if found.column.needed {
				return s.reader.fail(RuleRepeatedColumn, found.column.title)
			}
			s.reader.unknown(strings.TrimSpace(name))
			found = resolved{field: fieldIgnored}
		}
		seen[found.field] = true
		s.columns[i] = found
	}
	return s.reader.requireColumns(&s.set, seen)
}

// requireColumns refuses a report that lacks what rows are built from.
func (r *Reader) requireColumns(set *columnSet, seen map[field]bool) error {
	for _, c := range set.columns {
		if c.needed && !seen[c.field] {
			return r.fail(RuleMissingColumn, c.title)
		}
	}
	if r.kind == PaymentBatches && !r.signed && !seen[fieldApplications] && !seen[fieldTransactionType] {
		return r.fail(RuleMissingColumn, "Application.Name")
	}
	return nil
}

func (s *csvSource) next() error {
	fields, err := s.records.read()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return s.fault(err)
	}
	r := s.reader
	r.record.next(s.records.line)
	if len(fields) < s.width {
		if s.records.last() {
			return r.fail(RuleTruncated, "")
		}
		return r.fail(RuleRowWidth, "")
	}
	for i, value := range fields {
		value = strings.TrimSpace(value)
		if i >= s.width {
			if value != "" {
				return r.fail(RuleRowWidth, "")
			}
			continue
		}
		to := &s.columns[i]
		if single := to.field > fieldNone && to.field < numFields; single {
			r.record.values[to.field] = "" // of the row before
			if !holdsCard(value) {
				r.record.values[to.field] = value
				continue
			}
		}
		if err := r.put(*to, value); err != nil {
			return err
		}
	}
	r.drift.NoNewl = s.records.ended
	return nil
}

// fault gives the scanner's errors their rule.
func (s *csvSource) fault(err error) error {
	var rule Rule
	switch {
	case errors.Is(err, errOpen):
		rule = RuleTruncated
	case errors.Is(err, errQuote):
		rule = RuleMalformed
		if s.records.ended {
			rule = RuleTruncated // the last line, without its end: cut within a quoted field
		}
	case errors.Is(err, errTooLong):
		rule = RuleTooLong
	case errors.Is(err, errEncoding):
		rule = RuleEncoding
	default:
		return err
	}
	return s.reader.failWith(rule, s.records.line, err)
}
