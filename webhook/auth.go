package webhook

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/config"
)

const callerKey = "tenderline.caller"

// callerOf is the API key that made the request; routes without `only` have none.
func callerOf(c echo.Context) config.Key {
	key, _ := c.Get(callerKey).(config.Key)
	return key
}

// only lets callers in whose key carries one of the roles, at their rate. Wrong keys count against the address that sends them.
func (s *Server) only(roles ...config.Role) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			key, err := s.identify(c)
			if err != nil {
				return err
			}
			if !key.Has(roles...) {
				return newProblem(http.StatusForbidden, typeForbidden, "this needs one of the roles "+names(roles))
			}
			return next(c)
		}
	}
}

// identify finds the caller's key and counts the request against its rate.
func (s *Server) identify(c echo.Context) (config.Key, error) {
	presented, given := bearer(c.Request().Header.Get(echo.HeaderAuthorization))
	key, known := s.deps.Keys.Find(presented)
	if !given || !known {
		if err := s.strangers.admit(c.RealIP()); err != nil {
			return config.Key{}, err
		}
		return config.Key{}, newProblem(http.StatusUnauthorized, typeUnauthorized, "send a valid key as Authorization: Bearer ...")
	}
	entryOf(c).caller = key.Name
	c.Set(callerKey, key)
	return key, s.callers.admit(key.Name)
}

func bearer(header string) (string, bool) {
	scheme, token, found := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, found && strings.EqualFold(scheme, "bearer") && token != ""
}

func names(roles []config.Role) string {
	list := make([]string, len(roles))
	for i, role := range roles {
		list[i] = string(role)
	}
	return strings.Join(list, ", ")
}

// seesEverything tells that a key is for people of the house, who see the orders of all channels.
func seesEverything(key config.Key) bool {
	return key.Has(config.RoleAnalyst, config.RoleOperator, config.RoleFinance)
}
