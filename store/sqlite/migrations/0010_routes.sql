-- When a route was registered, or last found to have work: one that has had none for long is removed.
ALTER TABLE ff_route ADD COLUMN seen_at_ms INTEGER NOT NULL DEFAULT 0;

CREATE INDEX ff_route_seen ON ff_route (seen_at_ms, lane_id, route);
