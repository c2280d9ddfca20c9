package activities

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// deepestPointer bounds how deep a pointer may lead; documents are less deep.
const deepestPointer = 16

// parsePointer reads an RFC 6901 pointer to a member or an item; the whole document, "", is none.
func parsePointer(pointer string) (path []string, ok bool) {
	if !strings.HasPrefix(pointer, "/") || strings.Count(pointer, "/") > deepestPointer {
		return nil, false
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		plain := strings.NewReplacer("~0", "", "~1", "").Replace(token)
		if strings.Contains(plain, "~") {
			return nil, false
		}
		path = append(path, strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
	}
	return path, true
}

// errNoPlace tells that a pointer leads through what is neither object nor array, or beyond an array's end.
var errNoPlace = errors.New("there is no such place")

// member is a member of a JSON object, whose order is kept.
type member struct {
	name  string
	value json.RawMessage
}

// setAt puts a value at a path of a JSON document whose members keep their order and all other values their text. Members that are not there
// are added; items are not.
func setAt(body json.RawMessage, path []string, value any) (json.RawMessage, error) {
	if len(path) == 0 {
		return encodePlain(value)
	}
	switch kindOfJSON(body) {
	case '{':
		return setMember(body, path, value)
	case '[':
		return setItem(body, path, value)
	default:
		return nil, errNoPlace
	}
}

func setMember(body json.RawMessage, path []string, value any) (json.RawMessage, error) {
	members, err := membersOf(body)
	if err != nil {
		return nil, err
	}
	at := -1
	for i, m := range members {
		if m.name == path[0] {
			at = i
		}
	}
	if at < 0 {
		members = append(members, member{path[0], json.RawMessage("{}")})
		at = len(members) - 1
	}
	if members[at].value, err = setAt(members[at].value, path[1:], value); err != nil {
		return nil, err
	}
	return encodeMembers(members)
}

func setItem(body json.RawMessage, path []string, value any) (json.RawMessage, error) {
	items, at, err := itemAt(body, path[0])
	if err != nil {
		return nil, err
	}
	if items[at], err = setAt(items[at], path[1:], value); err != nil {
		return nil, err
	}
	return encodePlain(items)
}

// valueAt gives the value at a path, without the white space around it.
func valueAt(body json.RawMessage, path []string) (value json.RawMessage, there bool) {
	if len(path) == 0 {
		return bytes.TrimSpace(body), len(bytes.TrimSpace(body)) > 0
	}
	switch kindOfJSON(body) {
	case '{':
		members, err := membersOf(body)
		if err != nil {
			return nil, false
		}
		for _, m := range members {
			if m.name == path[0] {
				return valueAt(m.value, path[1:])
			}
		}
	case '[':
		if items, at, err := itemAt(body, path[0]); err == nil {
			return valueAt(items[at], path[1:])
		}
	}
	return nil, false
}

// kindOfJSON is the first byte of a value, 0 of none.
func kindOfJSON(body json.RawMessage) byte {
	if text := bytes.TrimSpace(body); len(text) > 0 {
		return text[0]
	}
	return 0
}

func membersOf(body json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var members []member
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, member{name.(string), value}) //nolint:errcheck // the decoder gives names as strings
	}
	_, err := decoder.Token()
	return members, err
}

// itemAt gives the items of an array and the one that a token of a pointer names: digits without leading zeros.
func itemAt(body json.RawMessage, token string) (items []json.RawMessage, at int, err error) {
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, 0, err
	}
	at, err = strconv.Atoi(token)
	if err != nil || strconv.Itoa(at) != token || at < 0 || at >= len(items) {
		return nil, 0, errNoPlace
	}
	return items, at, nil
}

func encodeMembers(members []member) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encodePlain(m.name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encodePlain writes JSON without escaping HTML, as the mappings do.
func encodePlain(value any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
