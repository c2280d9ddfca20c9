package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

const (
	maxElement = 256 << 10 // bytes of one element
	maxPage    = 64 << 20  // bytes of one page of purchase-refund-details, which holds 2000 requests at most
)

// jsonSource reads an answer of a JSON query. Elements of the array of rows are read one by one; only the answer whose arrays
// belong together by request is held as a page.
type jsonSource struct {
	reader  *Reader
	set     columnSet
	in      *budget
	decoder *json.Decoder
	inRows  bool
	done    bool
	element int
	names   map[[2]string]resolved
	page    *requestPage
}

// budget is a reader that stops at its bound.
type budget struct {
	in   io.Reader
	left int64
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.in.Read(p)
	b.left -= int64(n)
	return n, err
}

func newJSONSource(r *Reader, in io.Reader, set columnSet) *jsonSource {
	b := &budget{in: in, left: maxPage}
	s := &jsonSource{reader: r, set: set, in: b, decoder: json.NewDecoder(b), names: map[[2]string]resolved{}}
	s.decoder.UseNumber()
	return s
}

func (s *jsonSource) open() error {
	token, err := s.decoder.Token()
	if errors.Is(err, io.EOF) {
		return s.reader.fail(RuleEmptyFile, "")
	}
	if err != nil {
		return s.fault(err)
	}
	if token != json.Delim('{') {
		return s.reader.fail(RuleMalformed, "")
	}
	if s.reader.kind == PurchasesRefunds {
		return s.readPage()
	}
	return s.members()
}

// members reads the answer up to the array of the rows, or to its end.
func (s *jsonSource) members() error {
	for s.decoder.More() {
		name, err := s.name()
		if err != nil {
			return err
		}
		if name == s.set.root {
			token, err := s.decoder.Token()
			if err != nil {
				return s.fault(err)
			}
			if token == nil {
				continue // null: no rows
			}
			if token != json.Delim('[') {
				return s.reader.fail(RuleMalformed, name)
			}
			s.inRows = true
			return nil
		}
		if err := s.beside(name); err != nil {
			return err
		}
	}
	return s.end()
}

// name reads the name of a member.
func (s *jsonSource) name() (string, error) {
	token, err := s.decoder.Token()
	if err != nil {
		return "", s.fault(err)
	}
	name, isText := token.(string)
	if !isText {
		return "", s.reader.fail(RuleMalformed, "")
	}
	return name, nil
}

// end reads the end of the answer, and that nothing follows.
func (s *jsonSource) end() error {
	s.done = true
	if _, err := s.decoder.Token(); err != nil {
		return s.fault(err)
	}
	if _, err := s.decoder.Token(); !errors.Is(err, io.EOF) {
		return s.reader.fail(RuleMalformed, "")
	}
	return nil
}

// beside reads a member that holds no rows.
func (s *jsonSource) beside(name string) error {
	var value any
	if err := s.decoder.Decode(&value); err != nil {
		return s.fault(err)
	}
	s.in.left = maxPage
	said, _ := value.(string)
	h := &s.reader.header
	switch name {
	case "startTime":
		h.Start, _ = moment(said)
	case "endTime":
		h.End, _ = moment(said)
	case "organizationId":
		if holdsCard(said) {
			return s.reader.fail(RuleCardNumber, name)
		}
		h.MerchantID = said
	case "offset", "limit", "pageResults", "netTotal", "totalPurchases", "totalRefunds", "totalFees", "totalChargebacks":
	default:
		s.reader.unknown(name)
	}
	return nil
}

func (s *jsonSource) next() error {
	if s.page != nil {
		return s.nextOfPage()
	}
	if s.done {
		return io.EOF
	}
	if s.decoder.More() {
		s.element++
		s.reader.record.reset(s.element)
		s.in.left = maxElement
		var members map[string]json.RawMessage
		if err := s.decoder.Decode(&members); err != nil {
			return s.fault(err)
		}
		seen := map[field]bool{}
		if err := s.take("", members, seen); err != nil {
			return err
		}
		return s.reader.requireColumns(&s.set, seen)
	}
	if _, err := s.decoder.Token(); err != nil { // the end of the array
		return s.fault(err)
	}
	s.in.left = maxPage
	s.inRows = false
	if err := s.members(); err != nil {
		return err
	}
	if s.inRows {
		return s.next() // the array came twice: its rows count, the duplicates show in matching
	}
	return io.EOF
}

// take puts the members of an object into the record, in the order of their names.
func (s *jsonSource) take(group string, members map[string]json.RawMessage, seen map[field]bool) error {
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		key := [2]string{group, name}
		found, known := s.names[key]
		if !known {
			if found = s.set.resolve(group, name); found.field == fieldNone {
				s.reader.unknown(strings.TrimPrefix(group+"."+name, "."))
			}
			if len(s.names) < 4096 {
				s.names[key] = found
			}
		}
		seen[found.field] = true
		value, ok := scalar(members[name])
		if !ok {
			if holdsCard(string(members[name])) {
				return s.reader.fail(RuleCardNumber, titleOf(found))
			}
			continue // an object or array where there is none today
		}
		if err := s.reader.put(found, value); err != nil {
			return err
		}
	}
	return nil
}

// scalar gives the text of a JSON string, number or truth; null is nothing.
func scalar(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' {
		return "", false
	}
	if raw[0] == '"' {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return "", false
		}
		return strings.TrimSpace(text), true
	}
	if string(raw) == "null" {
		return "", true
	}
	return string(raw), true
}

func (s *jsonSource) fault(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errTooLong):
		return s.reader.failWith(RuleTooLong, s.element, errTooLong)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s.reader.failWith(RuleTruncated, s.element, io.ErrUnexpectedEOF)
	case errors.As(err, &syntax), errors.As(err, &kind):
		return s.reader.failWith(RuleMalformed, s.element, nil) // the cause may quote a value
	default:
		return err
	}
}

// requestPage is one page of purchase-refund-details.
type requestPage struct {
	settlements []map[string]json.RawMessage
	beside      map[string]map[string]map[string]json.RawMessage // by array and request id
	next        int
}

// pageArrays are joined to the settlements by request id, in this order.
var pageArrays = []string{"requestDetails", "authorizations", "feeAndFundingDetails", "others", "settlementStatuses"}

func (s *jsonSource) readPage() error {
	page := &requestPage{beside: map[string]map[string]map[string]json.RawMessage{}}
	for s.decoder.More() {
		name, err := s.name()
		if err != nil {
			return err
		}
		if name != s.set.root && !slices.Contains(pageArrays, name) {
			if err := s.beside(name); err != nil {
				return err
			}
			continue
		}
		var elements []map[string]json.RawMessage
		if err := s.decoder.Decode(&elements); err != nil {
			return s.fault(err)
		}
		if name == s.set.root {
			page.settlements = append(page.settlements, elements...)
			continue
		}
		byRequest := make(map[string]map[string]json.RawMessage, len(elements))
		for _, element := range elements {
			if id, ok := scalar(element["requestId"]); ok && byRequest[id] == nil {
				byRequest[id] = element
			}
		}
		page.beside[name] = byRequest
	}
	if err := s.end(); err != nil {
		return err
	}
	s.page = page
	return nil
}

func (s *jsonSource) nextOfPage() error {
	if s.page.next == len(s.page.settlements) {
		return io.EOF
	}
	element := s.page.settlements[s.page.next]
	s.page.next++
	s.reader.record.reset(s.page.next)
	seen := map[field]bool{}
	id, _ := scalar(element["requestId"])
	delete(element, "requestId")
	if err := s.reader.put(resolved{field: fieldRequestID, column: &s.set.columns[0]}, id); err != nil {
		return err
	}
	seen[fieldRequestID] = true
	if err := s.take("settlements", element, seen); err != nil {
		return err
	}
	for _, array := range pageArrays {
		beside := s.page.beside[array][id]
		if beside == nil {
			continue
		}
		delete(beside, "requestId")
		if err := s.take(array, beside, seen); err != nil {
			return err
		}
		if array == "feeAndFundingDetails" {
			delete(s.page.beside[array], id) // a settlement that stands there twice is charged once
		}
	}
	return s.reader.requireColumns(&s.set, seen)
}
