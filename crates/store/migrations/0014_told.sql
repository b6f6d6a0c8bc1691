-- When, by the forge's own clock, that was which an app was last deployed for by a webhook: what is
-- older and comes later is not gone back to.
ALTER TABLE app ADD COLUMN told_ms BIGINT;
