"""Words of users: shown without harm, compared by their looks, listed line by line."""
