package report

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

const (
	maxXMLDepth = 32
	maxXMLToken = 1 << 20 // bytes between two tokens, so that one value can't fill the memory
)

// meter is a byte reader that stops a token that grows beyond its bound.
type meter struct {
	in    *bufio.Reader
	spent int
}

func (m *meter) ReadByte() (byte, error) {
	if m.spent++; m.spent > maxXMLToken {
		return 0, errTooLong
	}
	return m.in.ReadByte()
}

// Read is there for the interface; the decoder of XML reads by the byte.
func (m *meter) Read(p []byte) (int, error) {
	if m.spent > maxXMLToken {
		return 0, errTooLong
	}
	n, err := m.in.Read(p)
	m.spent += n
	return n, err
}

// xmlSource reads the XML form: rows are elements, their attributes and the leaves under them are the columns. Namespaces do
// not count, nor does the case of names.
type xmlSource struct {
	reader  *Reader
	set     columnSet
	meter   *meter
	decoder *xml.Decoder
	path    []string // local names of the open elements
	names   map[[2]string]resolved
	seen    map[field]bool // in the row in hand
	ended   bool           // the root is closed
}

func newXMLSource(r *Reader, in io.Reader, set columnSet) *xmlSource {
	m := &meter{in: bufio.NewReaderSize(in, 64<<10)}
	return &xmlSource{reader: r, set: set, meter: m, decoder: xml.NewDecoder(m), names: map[[2]string]resolved{}, seen: map[field]bool{}}
}

// open reads up to the root element.
func (s *xmlSource) open() error {
	for {
		token, err := s.token()
		if errors.Is(err, io.EOF) {
			return s.reader.fail(RuleEmptyFile, "")
		}
		if err != nil {
			return err
		}
		if start, isStart := token.(xml.StartElement); isStart {
			return s.root(start)
		}
	}
}

func (s *xmlSource) root(start xml.StartElement) error {
	if normal(start.Name.Local) != "report" {
		return s.reader.failWith(RuleMalformed, s.line(), errors.New("the root is not Report"))
	}
	h := &s.reader.header
	for _, attribute := range start.Attr {
		if holdsCard(attribute.Value) {
			return s.reader.fail(RuleCardNumber, "")
		}
		switch normal(attribute.Name.Local) {
		case "name":
			h.Name = attribute.Value
		case "type":
			h.Definition = attribute.Value
		case "version":
			h.Version = attribute.Value
		case "merchantid", "organizationid":
			h.MerchantID = attribute.Value
		case "reportstartdate":
			h.Start, _ = moment(attribute.Value)
		case "reportenddate":
			h.End, _ = moment(attribute.Value)
		}
	}
	return nil
}

func (s *xmlSource) line() int {
	line, _ := s.decoder.InputPos()
	return line
}

// token gives the next token and keeps the path.
func (s *xmlSource) token() (xml.Token, error) {
	s.meter.spent = 0
	token, err := s.decoder.Token()
	if err != nil {
		return nil, s.fault(err)
	}
	switch t := token.(type) {
	case xml.StartElement:
		if s.path = append(s.path, t.Name.Local); len(s.path) > maxXMLDepth {
			return nil, s.reader.failWith(RuleTooLong, s.line(), errors.New("elements are nested too deep"))
		}
	case xml.EndElement:
		s.path = s.path[:len(s.path)-1]
	}
	return token, nil
}

func (s *xmlSource) fault(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, io.EOF) && (len(s.path) == 0):
		return io.EOF
	case errors.Is(err, errTooLong):
		return s.reader.failWith(RuleTooLong, s.line(), errTooLong)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s.reader.failWith(RuleTruncated, s.line(), io.ErrUnexpectedEOF)
	case errors.As(err, &syntax):
		rule := RuleMalformed
		if _, end := s.meter.in.Peek(1); errors.Is(end, io.EOF) && strings.Contains(syntax.Msg, "unexpected EOF") {
			rule = RuleTruncated
		} else if strings.Contains(syntax.Msg, "UTF-8") {
			rule = RuleEncoding
		}
		// The cause quotes the document: it stays out.
		return s.reader.failWith(rule, syntax.Line, nil)
	case strings.Contains(err.Error(), "encoding"):
		return s.reader.failWith(RuleEncoding, s.line(), nil)
	default:
		return err
	}
}

func (s *xmlSource) next() error {
	for !s.ended {
		token, err := s.token()
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if contains(s.set.elements, normal(t.Name.Local)) {
				return s.row(t)
			}
		case xml.EndElement:
			s.ended = len(s.path) == 0
		}
	}
	return io.EOF
}

// row reads one row's element to its end.
func (s *xmlSource) row(start xml.StartElement) error {
	r := s.reader
	r.record.reset(s.line())
	clear(s.seen)
	if err := s.attributes(start); err != nil {
		return err
	}
	depth := len(s.path)
	leaf, value := true, ""
	for len(s.path) >= depth {
		token, err := s.token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return r.fail(RuleTruncated, "")
			}
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			leaf, value = true, ""
			if err := s.attributes(t); err != nil {
				return err
			}
		case xml.CharData:
			value += string(t)
			if len(value) > maxRecord {
				return r.fail(RuleTooLong, "")
			}
		case xml.EndElement:
			if leaf && len(s.path) >= depth {
				if err := s.value(s.path[len(s.path)-1], t.Name.Local, strings.TrimSpace(value)); err != nil {
					return err
				}
			}
			leaf, value = false, ""
		}
	}
	return r.requireColumns(&s.set, s.seen)
}

func (s *xmlSource) attributes(start xml.StartElement) error {
	if normal(start.Name.Local) == "applicationreply" {
		for _, attribute := range start.Attr {
			if normal(attribute.Name.Local) == "name" {
				s.reader.record.applications |= application(attribute.Value)
				s.seen[fieldApplications] = true
			}
		}
		return nil
	}
	for _, attribute := range start.Attr {
		if attribute.Name.Space == "xmlns" || attribute.Name.Local == "xmlns" {
			continue
		}
		if err := s.value(start.Name.Local, attribute.Name.Local, strings.TrimSpace(attribute.Value)); err != nil {
			return err
		}
	}
	return nil
}

func (s *xmlSource) value(parent, name, value string) error {
	key := [2]string{parent, name}
	found, known := s.names[key]
	if !known {
		if found = s.set.resolve(parent, name); found.field == fieldNone {
			s.reader.unknown(parent + "." + name)
		}
		if len(s.names) < 4096 { // names come from outside
			s.names[key] = found
		}
	}
	if found.field == fieldAmount && s.seen[fieldAmount] {
		return s.reader.fail(RuleRepeatedColumn, titleOf(found))
	}
	s.seen[found.field] = true
	return s.reader.put(found, value)
}
