package mappings

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object is a JSON object that keeps the order of its members, so that a document reads like its mapping file and equal inputs give
// equal bytes. Members are *object, []any, string, bool, json.Number or nil.
type object struct {
	names  []string
	values map[string]any
}

func newObject() *object { return &object{values: map[string]any{}} }

// set puts a value at a path, making the objects on the way.
func (o *object) set(path []string, value any) {
	last := len(path) - 1
	for _, name := range path[:last] {
		child, isObject := o.values[name].(*object)
		if !isObject {
			child = newObject()
			o.put(name, child)
		}
		o = child
	}
	o.put(path[last], value)
}

// put sets a member. One that is there keeps its place.
func (o *object) put(name string, value any) {
	if _, there := o.values[name]; !there {
		o.names = append(o.names, name)
	}
	o.values[name] = value
}

// remove takes the value at a path away, with the objects on the way that become empty.
func (o *object) remove(path []string) {
	name := path[0]
	if child, isObject := o.values[name].(*object); len(path) > 1 {
		if !isObject {
			return
		}
		child.remove(path[1:])
		if len(child.names) > 0 {
			return
		}
	}
	delete(o.values, name)
	for i, n := range o.names {
		if n == name {
			o.names = append(o.names[:i:i], o.names[i+1:]...)
			return
		}
	}
}

// MarshalJSON writes the members in their order, without escaping HTML.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := writeJSON(&b, o); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writeJSON(b *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case *object:
		b.WriteByte('{')
		for i, name := range v.names {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := writeJSON(b, v.values[name]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case json.Number:
		b.WriteString(v.String())
	default:
		encoder := json.NewEncoder(b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			return fmt.Errorf("write document: %w", err)
		}
		b.Truncate(b.Len() - 1) // the encoder's line feed
	}
	return nil
}

// readObject reads a document back, in its order.
func readObject(body []byte) (*object, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	value, err := readValue(decoder)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	o, isObject := value.(*object)
	if !isObject {
		return nil, fmt.Errorf("read document: not a JSON object")
	}
	return o, nil
}

func readValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := newObject()
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := readValue(decoder)
			if err != nil {
				return nil, err
			}
			o.put(name.(string), value) //nolint:errcheck // the decoder gives names as strings
		}
		_, err = decoder.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			value, err := readValue(decoder)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = decoder.Token()
		return list, err
	default:
		return token, nil
	}
}
