package sagepro

import "strings"

// access is what a statement does to a table.
type access struct {
	verb  string // INSERT, UPDATE, DELETE, SELECT
	table string // in lower case, without schema and quotes
}

func (a access) String() string { return a.verb + " " + a.table }

// accesses tells what a statement does to which tables: enough of SQL to know what it writes and reads, no more.
func accesses(query string) []access {
	var found []access
	add := func(verb, table string) {
		a := access{verb, table}
		for _, f := range found {
			if f == a {
				return
			}
		}
		found = append(found, a)
	}
	words := tokens(query)
	at := func(i int) string {
		if i < 0 || i >= len(words) {
			return ""
		}
		return words[i]
	}
	for i, w := range words {
		switch strings.ToUpper(w) {
		case "INSERT", "MERGE":
			if table := name(words, i+1, "INTO"); table != "" {
				add("INSERT", table)
			}
		case "UPDATE":
			// FOR UPDATE locks, DO UPDATE belongs to an INSERT.
			if before := strings.ToUpper(at(i - 1)); before != "FOR" && before != "KEY" && before != "DO" {
				if table := name(words, i+1, ""); table != "" {
					add("UPDATE", table)
				}
			}
		case "FROM", "JOIN":
			verb := "SELECT"
			if strings.EqualFold(at(i-1), "DELETE") {
				verb = "DELETE"
			}
			for _, table := range list(words, i+1) {
				add(verb, table)
			}
		}
	}
	return found
}

// name gives the table at a place, after a word that may stand before it.
func name(words []string, i int, skip string) string {
	if skip != "" && i < len(words) && strings.EqualFold(words[i], skip) {
		i++
	}
	if i >= len(words) || !isName(words[i]) {
		return ""
	}
	return table(words[i])
}

// list gives the tables of a FROM: a, b AS x, c.
func list(words []string, i int) []string {
	var found []string
	for i < len(words) && isName(words[i]) {
		found = append(found, table(words[i]))
		i++
		for i < len(words) && isName(words[i]) && !strings.EqualFold(words[i], "WHERE") && !strings.EqualFold(words[i], "JOIN") {
			i++ // an alias, and what T-SQL writes behind a table
		}
		if i >= len(words) || words[i] != "," {
			break
		}
		i++
	}
	return found
}

func isName(word string) bool {
	c := word[0]
	return c == '"' || c == '[' || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// table drops schema and quotes.
func table(word string) string {
	parts := strings.Split(word, ".")
	return strings.ToLower(strings.Trim(parts[len(parts)-1], `"[]`))
}

// tokens cuts a statement into names (with their dots and quotes) and signs; texts, numbers and comments are left out.
func tokens(query string) []string {
	var words []string
	for i := 0; i < len(query); {
		switch c := query[i]; {
		case c == '\'':
			i = after(query, i+1, "'")
		case strings.HasPrefix(query[i:], "--"):
			i = after(query, i, "\n")
		case strings.HasPrefix(query[i:], "/*"):
			i = after(query, i+2, "*/")
		case isName(query[i : i+1]):
			end := nameEnd(query, i)
			words = append(words, query[i:end])
			i = end
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		default:
			words = append(words, query[i:i+1])
			i++
		}
	}
	return words
}

// after gives the place behind the next end, or the end of all.
func after(query string, from int, end string) int {
	if from > len(query) {
		return len(query)
	}
	if i := strings.Index(query[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(query)
}

// nameEnd gives the place behind a name that starts at i: letters, digits, dots and quoted parts.
func nameEnd(query string, i int) int {
	for i < len(query) {
		switch c := query[i]; {
		case c == '"':
			i = after(query, i+1, `"`)
		case c == '[':
			i = after(query, i+1, "]")
		case c == '.' || c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			i++
		default:
			return i
		}
	}
	return i
}
